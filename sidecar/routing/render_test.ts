import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import { Instance_Status, type Service, ServiceSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { type Servers, usable } from "./plan.ts";
import { render } from "./render.ts";
import { ALL_KNOWN, instance, service } from "../testing/maps.ts";

Deno.test("render() makes a pool of each version, and one of all while live is not set", () => {
  const instances = [instance("i1"), instance("i2", { version: 2 })];
  assert.deepEqual(pools(service("identity", { instances })), { all: "i1 i2", 1: "i1", 2: "i2" });
  assert.deepEqual(pools(service("identity", { instances, aliases: { live: 1 } })), { 1: "i1", 2: "i2" });
  assert.deepEqual(pools(service("identity", {})), {});
});

Deno.test("render() takes out what is disabled, and what fails where anything else can be used", () => {
  const failing = { status: Instance_Status.FAILING };
  const ready = (init: Parameters<typeof service>[1]) => pools(service("identity", init), true)["all"];
  assert.equal(ready({ instances: [instance("i1"), instance("i2", { enabled: false })] }), "i1");
  assert.equal(ready({ enabled: false, instances: [instance("i1")] }), "");
  assert.equal(ready({ instances: [instance("i1"), instance("i2", failing)] }), "i1");
  assert.equal(ready({ instances: [instance("i1", { weight: 0 }), instance("i2", failing)] }), "i1 i2");
  assert.equal(ready({ instances: [instance("i1", failing), instance("i2", failing)] }), "i1 i2");
  assert.equal(ready({ instances: [instance("i1", { ...failing, enabled: false }), instance("i2", failing)] }), "i2");
});

Deno.test("render() sends calls to those that are enabled, not draining, of some weight, and failing only where all are", () => {
  const state = fc.record({
    enabled: fc.boolean(),
    draining: fc.boolean(),
    weight: fc.constantFrom(0, 1, 256),
    status: fc.constantFrom(Instance_Status.UNKNOWN, Instance_Status.PASSING, Instance_Status.FAILING),
  });
  fc.assert(
    fc.property(fc.array(state, { maxLength: 5 }), (states) => {
      const instances = states.map((init, at) => instance(`i${at}`, init));
      const base = instances.filter(({ enabled, draining, weight }) => enabled && !draining && weight > 0);
      const ok = base.filter(({ status }) => status !== Instance_Status.FAILING);
      const rendered = render("identity", service("identity", { instances }), ALL_KNOWN);
      assert.ok(rendered.kind === "wanted");
      const chosen = [...rendered.service.pools.get("all")?.values() ?? []]
        .filter((server) => usable(new Map([[server.name, server]])));
      assert.deepEqual(chosen.map(({ name }) => name), (ok.length > 0 ? ok : base).map(({ id }) => id));
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("render() leaves out instances whose host has no address, and says so", () => {
  const one = service("identity", {
    instances: [instance("i1", { host: "a.internal" }), instance("i2", { host: "b.internal" })],
  });
  const rendered = render("identity", one, {
    ...ALL_KNOWN,
    addressOf: (host) => host === "a.internal" ? "10.0.0.1" : undefined,
  });
  assert.ok(rendered.kind === "wanted");
  assert.equal(rendered.service.pools.get("all")?.get("i1")?.host, "10.0.0.1");
  assert.equal(rendered.service.pools.get("all")?.has("i2"), false);
  assert.deepEqual(rendered.unresolved, ['Cannot route to instance "i2": its host "b.internal" has no address']);
});

/** What only later versions of the contract have. */
const NEWER: number = 99;

Deno.test("render() refuses what is no service, with the reason", () => {
  const i1 = instance("i1");
  const split = { 1: 5000, 2: 5000 };
  const bad: readonly (readonly [RegExp, Service, string?])[] = [
    [/the service under this name is "teams"/, service("teams", {})],
    [/service "Identity": expected lower case/, service("Identity", {}), "Identity"],
    [/instance "i1": it is there twice/, service("identity", { instances: [i1, i1] })],
    [/instance id "i 1"/, service("identity", { instances: [{ ...i1, id: "i 1" }] })],
    [/host "127.0.0.1 weight 5"/, service("identity", { instances: [{ ...i1, host: "127.0.0.1 weight 5" }] })],
    [/host "0.0.0.0"/, service("identity", { instances: [{ ...i1, host: "0.0.0.0" }] })],
    [/port 0/, service("identity", { instances: [{ ...i1, port: 0 }] })],
    [/port 65536/, service("identity", { instances: [{ ...i1, port: 65_536 }] })],
    [/version 0/, service("identity", { instances: [{ ...i1, version: 0 }] })],
    [/weight 257/, service("identity", { instances: [{ ...i1, weight: 257 }] })],
    [/alias "v1"/, service("identity", { aliases: { v1: 1 } })],
    [/alias "live": Cannot use version 0/, service("identity", { aliases: { live: 0 } })],
    [/add up to 9999, not to 10000/, service("identity", { aliases: { live: { split: { 1: 9_998, 2: 1 } } } })],
    [/two versions or more/, service("identity", { aliases: { live: { split: { 1: 10_000 } } } })],
    [/sticky header "X"/, service("identity", { aliases: { live: { split, stickyHeader: "X" } } })],
    [/sticky header "host"/, service("identity", { aliases: { live: { split, stickyHeader: "host" } } })],
    [/Cannot use protocol 99: this sidecar does not know it/, raw({ spec: { protocol: NEWER } })],
    [/balancer 99/, raw({ spec: { balancer: NEWER } })],
    [/only a split can be sticky/, raw({ aliases: [{ name: "live", route: { version: 1, stickyHeader: "x" } }] })],
    [/it leads nowhere/, raw({ aliases: [{ name: "live" }] })],
    [
      /a version and a split/,
      raw({ aliases: [{ name: "live", route: { version: 1, split: [{ version: 1, share: 10_000 }] } }] }),
    ],
  ];
  for (const [reason, one, name = "identity"] of bad) {
    const rendered = render(name, one, ALL_KNOWN);
    assert.ok(rendered.kind === "refused", String(reason));
    assert.match(rendered.reason, reason);
  }
});

function raw(init: MessageInitShape<typeof ServiceSchema>): Service {
  return create(ServiceSchema, { name: "identity", ...init } as MessageInitShape<typeof ServiceSchema>);
}

/** Names of the servers by pool. */
function pools(one: Service, readyOnly = false): Record<string, string> {
  const rendered = render(one.name, one, ALL_KNOWN);
  assert.ok(rendered.kind === "wanted");
  const names = (servers: Servers) =>
    [...servers.values()].filter(({ state }) => !readyOnly || state === "ready").map(({ name }) => name);
  return Object.fromEntries([...rendered.service.pools].map(([pool, servers]) => [pool, names(servers).join(" ")]));
}

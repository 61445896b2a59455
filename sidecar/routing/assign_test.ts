import assert from "node:assert/strict";
import fc from "fast-check";
import { assign, needReload, settled } from "./assign.ts";
import { diff } from "./diff.ts";
import { type Backend, EMPTY_PLAN, type HaproxyPlan } from "./plan.ts";
import { someWanted } from "../testing/arbitrary.ts";
import { instance, service, wantedOf } from "../testing/maps.ts";

Deno.test("assign() never renames a slot, nor gives it to another pool", () => {
  fc.assert(fc.property(fc.array(someWanted, { maxLength: 8 }), fc.integer({ min: 0, max: 6 }), (maps, spares) => {
    const holder = new Map<string, string>();
    let running = EMPTY_PLAN;
    for (const wanted of maps) {
      const plan = assign(wanted, running, { spares });
      for (const backend of plan.backends.values()) {
        const { slot } = backend;
        const known = running.backends.has(slot) || !holder.has(slot);
        assert.ok(known, `${slot} is given out twice`);
        assert.ok(!plan.spares.includes(slot), `${slot} is in use and spare`);
        assert.equal(holder.get(slot) ?? heldBy(backend), heldBy(backend));
        holder.set(slot, heldBy(backend));
      }
      running = diff(running, plan).kind === "reload" ? settled(plan) : plan;
    }
  }));
});

Deno.test("assign() needs no reload while it is held, and changes nothing that waits for one", () => {
  fc.assert(fc.property(someWanted, someWanted, (first, second) => {
    const running = assign(first, EMPTY_PLAN);
    const held = assign(second, running, { reloading: "hold" });
    assert.notEqual(diff(running, held).kind, "reload");
    const free = assign(second, running);
    if (diff(running, free).kind !== "reload") assert.deepEqual(held, free);
    else assert.ok(needReload(second, running).length > 0 || free.listeners.size < running.listeners.size);
    for (const value of held.routes.values()) {
      assert.ok(!/^b[0-9]/.test(value) || held.backends.has(value), `a row leads to ${value}, which is not there`);
    }
  }));
});

Deno.test("assign() drops a backend without use at a reload, once no row of the running map leads to it", () => {
  const one = wantedOf(service("identity", { instances: [instance("i1")] }));
  const two = wantedOf(service("identity", { instances: [instance("i1")], aliases: { live: 1 } }));
  const other = (name: string) => wantedOf(service(name, { instances: [instance("i1")] }));
  const names = (plan: HaproxyPlan) =>
    [...plan.backends.values()].map(({ service, pool }) => pool === "all" ? service : `v${pool}.${service}`);

  const first = assign(one, EMPTY_PLAN);
  assert.deepEqual(names(first), ["identity", "v1.identity"]);
  const second = assign(two, first);
  assert.deepEqual(names(second), ["identity", "v1.identity"], "nothing is worth a reload here");
  const third = assign(new Map([...two, ...other("teams")]), second);
  assert.deepEqual(names(third), ["v1.identity", "teams", "v1.teams"]);
  const fourth = assign(new Map([...two, ...other("orders")]), third);
  assert.deepEqual(names(fourth), ["v1.identity", "teams", "v1.teams", "orders", "v1.orders"]);
  assert.equal(fourth.nextSlot, 7);
});

Deno.test("assign() keeps a server that is gone as leaving, and takes it back where it comes again", () => {
  const plan = (...ids: string[]) => wantedOf(service("identity", { instances: ids.map((id) => instance(id)) }));
  const states = (of: HaproxyPlan) =>
    [...(of.backends.get("b001")?.servers.values() ?? [])].map(({ name, state }) => `${name} ${state}`);
  const first = assign(plan("i1", "i2"), EMPTY_PLAN);
  const second = assign(plan("i1"), first);
  assert.deepEqual(states(second), ["i1 ready", "i2 leaving"]);
  assert.deepEqual(states(assign(plan("i2"), second)), ["i2 ready", "i1 leaving"]);
  assert.deepEqual(states(settled(second)), ["i1 ready"]);
});

Deno.test("assign() takes spare backends without a reload while there are some, and makes new ones with the next reload", () => {
  const names = (count: number) => Array.from({ length: count }, (_, at) => `s${at}`);
  const of = (count: number) =>
    wantedOf(...names(count).map((name) => service(name, { instances: [instance("i1")], aliases: { live: 1 } })));
  let running = assign(of(1), EMPTY_PLAN, { spares: 3 });
  assert.deepEqual(running.spares, ["b002", "b003", "b004"]);
  for (const count of [2, 3, 4]) {
    const next = assign(of(count), running, { spares: 3 });
    assert.equal(diff(running, next).kind, "runtime");
    running = next;
  }
  assert.deepEqual(running.spares, []);
  const refilled = assign(of(4), running, { spares: 3, reloading: "refill" });
  assert.deepEqual(diff(running, refilled), {
    kind: "reload",
    reasons: [{ kind: "spares", text: "few spare backends are left" }],
  });
  const fifth = assign(of(5), running, { spares: 3 });
  assert.deepEqual(diff(running, fifth), {
    kind: "reload",
    reasons: [{ kind: "new_service", text: 'new service "s4"' }],
  });
  assert.deepEqual(fifth.spares, ["b006", "b007", "b008"]);
});

Deno.test("assign() gives a pool that is reached in another way another backend, and keeps the first until that is there", () => {
  const of = (timeoutMs: number) =>
    wantedOf(service("identity", {
      instances: [instance("i1")],
      aliases: { live: 1 },
      spec: { policy: { timeoutMs } },
    }));
  const running = assign(of(1_000), EMPTY_PLAN);
  const held = assign(of(2_000), running, { reloading: "hold" });
  assert.equal(held.routes.get("identity/1"), "b001");
  assert.equal(held.backends.get("b001")?.servers.get("i1")?.state, "ready");
  const next = assign(of(2_000), running);
  assert.deepEqual(diff(running, next), {
    kind: "reload",
    reasons: [{ kind: "other_form", text: '"identity" is reached in another way' }],
  });
  assert.equal(next.routes.get("identity/1"), "b002");
  assert.equal(next.backends.get("b002")?.form.answerMs, 2_000);
});

Deno.test("assign() gives a port to one of two services: to the one that has it, else to the first", () => {
  const of = (...names: string[]) => wantedOf(...names.map((name) => service(name, { spec: { localPort: 5432 } })));
  const holder = (plan: HaproxyPlan) => plan.listeners.get(5432)?.service;
  const teams = assign(of("teams"), EMPTY_PLAN);
  assert.equal(holder(assign(of("identity", "teams"), teams)), "teams");
  assert.equal(holder(assign(of("teams", "identity"), teams)), "teams");
  assert.equal(holder(assign(of("teams", "identity"), EMPTY_PLAN)), "identity");
  assert.equal(holder(assign(of("identity"), teams)), "identity");
});

Deno.test("assign() leaves a frozen service as it runs, whatever happens to the others", () => {
  const spec = { localPort: 5432 };
  const split = { 1: 4_000, 2: 6_000 };
  const frozen = service("identity", {
    instances: [instance("i1"), instance("i2", { version: 2 })],
    aliases: { live: { split, stickyHeader: "x-user" }, canary: 2 },
    spec,
  });
  const running = assign(wantedOf(frozen, service("teams", { instances: [instance("t1")] })), EMPTY_PLAN);
  const others = wantedOf(service("orders", { instances: [instance("o1")], aliases: { live: 1 } }));
  for (const reloading of ["allow", "hold"] as const) {
    const plan = assign(others, running, { reloading, frozen: new Set(["identity"]) });
    const of = ({ backends, routes, listeners, stickyHeaders }: HaproxyPlan) => ({
      backends: [...backends.values()].filter(({ service }) => service === "identity"),
      routes: [...routes].filter(([key]) => /^(?:.*\.)?identity\//.test(key)),
      listeners,
      stickyHeaders,
    });
    assert.deepEqual(of(plan), of(running), reloading);
    assert.ok(![...plan.routes.keys()].some((key) => key.startsWith("teams/")));
  }
});

Deno.test("assign() leads calls to a service that waits for a reload where they led, whatever pools it has by now", () => {
  const instances = [instance("i1"), instance("i2", { version: 2 })];
  const before = assign(wantedOf(service("identity", { instances })), EMPTY_PLAN);
  const live = { split: { 1: 5_000, 2: 5_000 }, stickyHeader: "x-user" };
  const held = assign(wantedOf(service("identity", { instances, aliases: { live } })), before, { reloading: "hold" });
  assert.equal(held.routes.get("identity/1"), "b001");
  assert.deepEqual([...held.backends.get("b001")?.servers.values() ?? []].map(({ state }) => state), [
    "ready",
    "ready",
  ]);
  const fewer = wantedOf(service("identity", { instances: instances.slice(1), aliases: { live } }));
  const next = assign(fewer, held, { reloading: "hold" });
  assert.deepEqual(
    [...next.backends.get("b001")?.servers.values() ?? []].map(({ name, state }) => `${name} ${state}`),
    ["i2 ready", "i1 leaving"],
  );
});

Deno.test("assign() gives an instance that moves another server, and takes the first back where it comes back", () => {
  const at = (port: number) =>
    wantedOf(service("identity", { instances: [instance("i1", { port })], aliases: { live: 1 } }));
  const servers = (plan: HaproxyPlan) =>
    [...plan.backends.get("b001")?.servers.values() ?? []].map(({ name, port, state }) => `${name} ${port} ${state}`);
  const first = assign(at(8_000), EMPTY_PLAN);
  assert.deepEqual(servers(first), ["i1 8000 ready"]);
  const second = assign(at(8_001), first);
  assert.deepEqual(servers(second), ["i1.1 8001 ready", "i1 8000 leaving"]);
  assert.equal(assign(at(8_001), second).backends.get("b001"), second.backends.get("b001"), "nothing has changed");
  assert.deepEqual(servers(settled(second)), ["i1.1 8001 ready"]);
  const third = assign(at(8_002), second);
  assert.deepEqual(servers(third), ["i1.2 8002 ready", "i1.1 8001 leaving", "i1 8000 leaving"]);
  assert.deepEqual(servers(assign(at(8_000), third)), ["i1 8000 ready", "i1.2 8002 leaving", "i1.1 8001 leaving"]);
  const kinds = diff(first, second);
  assert.deepEqual(kinds.kind === "runtime" && kinds.commands.map(({ kind }) => kind), [
    "add-server",
    "set-state",
    "set-state",
  ]);
});

function heldBy({ service, pool, form }: Backend): string {
  return JSON.stringify([service, pool, form]);
}

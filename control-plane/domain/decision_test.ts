import assert from "node:assert/strict";
import type { Change } from "./change.ts";
import {
  type ClusterMap,
  emptyMap,
  findInstance,
  findService,
  MAX_INSTANCES,
  MAX_SERVICE_BYTES,
  type Service,
} from "./cluster_map.ts";
import { type Command, decide } from "./command.ts";
import { MOST_AT_ONCE } from "./decision.ts";
import { NO_REVISION } from "./names.ts";
import { EPOCH, type Event, historyOf, holds, next } from "./testing.ts";

const at = { realm: "local", service: "identity" } as const;

function register(id: string, more: object = {}): Command {
  const instance = { id, host: "127.0.0.1", port: 8080, version: 1, weight: 100, metadata: {}, ...more };
  return { kind: "register", ...at, instance } as unknown as Command;
}

function command(kind: string, fields: object = {}): Command {
  return { kind, ...at, ...fields } as unknown as Command;
}

function after(...commands: Command[]): ClusterMap {
  return historyOf(commands as Event[]).at(-1)!.map;
}

function identity(map: ClusterMap): Service | undefined {
  return findService(map, at.realm as never, at.service as never);
}

Deno.test("decide() keeps what an operator wants when an instance registers again, and ends its draining", () => {
  const map = after(register("a"), command("set_enabled", { id: "a", enabled: false }), command("drain", { id: "a" }));
  const instance = findInstance(identity(next(map, changesOf(map, register("a", { port: 9090 })))), "a" as never);
  assert.deepEqual([instance?.port, instance?.enabled, instance?.draining], [9090, false, false]);
});

Deno.test("decide() answers a write that changes nothing with the resource's revision", () => {
  const map = after(register("a"), register("b"), command("put_alias", { alias: "live", route: version(1) }));
  const since = (asked: Command) => decide(map, asked);
  assert.deepEqual(since(register("a")), { kind: "unchanged", revision: 1n });
  assert.deepEqual(since(command("put_alias", { alias: "live", route: version(1) })), {
    kind: "unchanged",
    revision: 3n,
  });
  assert.deepEqual(since(command("set_enabled", { enabled: true })), { kind: "unchanged", revision: 1n });
  assert.deepEqual(since(command("set_enabled", { id: "b", enabled: true })), { kind: "unchanged", revision: 2n });
  assert.deepEqual(since(command("release")), { kind: "unchanged", revision: 3n });
});

Deno.test("decide() refuses to change what does not exist", () => {
  const map = after(register("a"));
  const refused = (command: Command) => {
    const decision = decide(map, command);
    return decision.kind === "refuse" ? [decision.code, decision.message] : decision.kind;
  };
  assert.deepEqual(refused(command("deregister", { id: "b" })), [
    "not_found",
    `Cannot find instance "identity/b": it does not exist`,
  ]);
  assert.deepEqual(refused(command("set_enabled", { service: "teams", enabled: false })), [
    "not_found",
    `Cannot find service "teams" in realm "local": it does not exist`,
  ]);
  for (
    const asked of [
      command("set_enabled", { id: "b", enabled: true }),
      command("drain", { id: "b" }),
      command("drain", { service: "teams" }),
      command("delete_alias", { alias: "live" }),
      command("delete_alias", { alias: "live", service: "teams" }),
      command("delete_service", { service: "teams", force: true }),
      command("deregister", { service: "teams", id: "a" }),
    ]
  ) assert.equal(refused(asked)[0], "not_found", asked.kind);
});

Deno.test("decide() does a conditional write only while its resource is as expected", () => {
  const map = after(register("a"), register("b"), command("put_alias", { alias: "live", route: version(1) }));
  const outcome = (asked: Command, expected: unknown) => {
    const decision = decide(map, { ...asked, expected } as Command);
    return decision.kind === "refuse" ? decision.code : decision.kind;
  };
  const cases: [Command, bigint][] = [
    [register("b", { port: 9 }), 2n],
    [command("deregister", { id: "b" }), 2n],
    [command("drain", { id: "b" }), 2n],
    [command("set_enabled", { id: "b", enabled: false }), 2n],
    [command("set_enabled", { enabled: false }), 1n],
    [command("put_service", { spec: { protocol: "TCP", balancer: "P2C" } }), 1n],
    [command("delete_service", { force: true }), 1n],
    [command("put_alias", { alias: "live", route: version(2) }), 3n],
    [command("delete_alias", { alias: "live" }), 3n],
  ];
  for (const [asked, revision] of cases) {
    assert.equal(outcome(asked, revision), "accept", asked.kind);
    assert.equal(outcome(asked, "exists"), "accept", asked.kind);
    for (const wrong of [NO_REVISION, revision + 1n, revision - 1n]) {
      assert.equal(outcome(asked, wrong), "moved", `${asked.kind} ${wrong}`);
    }
    const elsewhere = { ...asked, service: "teams" } as Command;
    assert.equal(outcome(elsewhere, "exists"), "moved", asked.kind);
    assert.equal(outcome(elsewhere, revision), "moved", asked.kind);
  }
  assert.equal(outcome(register("c"), NO_REVISION), "accept");
  assert.equal(outcome(command("put_alias", { alias: "canary", route: version(1) }), NO_REVISION), "accept");
  const refusal = decide(map, { ...register("b"), expected: 1n } as Command);
  assert.ok(refusal.kind === "refuse");
  assert.equal(
    refusal.message,
    `Cannot change instance "identity/b": it was last changed at revision 2, expected revision 1`,
  );
});

Deno.test("decide() takes what is observed from the lease that holds an instance alone", () => {
  const map = after(
    register("a", { ttl: 9_000, lease: "l1" }),
    register("b", { ttl: 9_000, lease: "l2" }),
    register("c"),
  );
  const statuses = new Map(["a", "b", "c", "gone"].map((id) => [id, "failing"]));
  const service = identity(next(map, changesOf(map, command("report", { lease: "l1", statuses }))));
  assert.deepEqual(service?.instances.map(({ status }) => status), ["failing", "unknown", "unknown"]);
});

Deno.test("decide() deletes a service with instances only by force", () => {
  const map = after(register("a"));
  const refusal = decide(map, command("delete_service", { force: false }));
  assert.ok(refusal.kind === "refuse" && refusal.code === "in_use");
  assert.equal(decide(map, command("delete_service", { force: true })).kind, "accept");
  const empty = after(register("a"), command("deregister", { id: "a" }));
  const decision = decide(empty, command("delete_service", { force: false }));
  assert.ok(decision.kind === "accept");
  // Somebody registers meanwhile: the deletion does not hold any more.
  const between = next(empty, changesOf(empty, register("b")));
  assert.ok(decision.relies.some((reliance) => !holds(between, reliance)));
});

Deno.test("decide() takes many instances in steps, each as it is, until nothing is left to do", () => {
  const many = Array.from({ length: 2 * MOST_AT_ONCE + 1 }, (_, i) => register(`i${i}`, { ttl: 9_000, lease: "l" }));
  const map = after(...many);
  const leases = new Set(["l"]);
  const held = after(...many, command("hold", { leases, held: true }));
  for (
    const [from, asked] of [
      [map, command("drain")],
      [map, command("expire", { leases })],
      [map, command("hold", { leases, held: true })],
      [held, command("hold", { leases, held: false })],
      [held, command("release")],
    ] as const
  ) {
    let now = from;
    const steps: number[] = [];
    for (let more = true; more;) {
      const decision = decide(now, asked);
      assert.ok(decision.kind === "accept", asked.kind);
      const moved = decision.changes.filter(({ kind }) => kind.endsWith("_instance")).length;
      assert.equal(decision.relies.filter(({ instance }) => instance !== undefined).length, moved);
      steps.push(moved);
      now = next(now, decision.changes);
      more = decision.more;
    }
    assert.deepEqual(steps, [MOST_AT_ONCE, MOST_AT_ONCE, 1], asked.kind);
    assert.equal(decide(now, asked).kind, "unchanged", asked.kind);
  }
});

Deno.test("decide() lets a service that is switched on drain no more, under its writer's condition to the end", () => {
  const many = Array.from({ length: MOST_AT_ONCE + 1 }, (_, i) => register(`i${i}`));
  const off = after(...many, command("set_enabled", { enabled: false }), command("drain"));
  const expected = identity(off)?.specModified;
  const steps = historyOf([command("set_enabled", { enabled: true, expected })], off);
  assert.equal(steps.length, 1 + 3);
  const service = identity(steps.at(-1)!.map);
  assert.ok(service?.enabled && service.instances.every(({ draining }) => !draining));
  const drained = after(...many, command("drain"));
  assert.equal(
    historyOf([command("set_enabled", { enabled: false })], drained).length,
    1 + 1,
    "one that is switched off does",
  );
});

Deno.test("decide() writes a service blindly only if 32 writes like it cannot take it beyond its bounds", () => {
  const map = after(register("a"));
  const touches = (asked: Command) => {
    const decision = decide(map, asked);
    assert.ok(decision.kind === "accept");
    return decision.relies.filter(({ touch }) => touch).map(({ revision }) => revision);
  };
  const entries = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [i.toString(36), ""]));
  assert.deepEqual(touches(register("b", { metadata: entries(1_000) })), []);
  assert.deepEqual(touches(register("b", { metadata: entries(1_800) })), [identity(map)?.modified]);
  const check = { kind: "HTTP", path: "/".repeat(13_000), intervalMs: 1_000, rise: 1, fall: 1 };
  assert.equal(touches(command("put_service", { spec: { protocol: "HTTP1", check, balancer: "P2C" } })).length, 1);
  const split = { kind: "split", shares: Array.from({ length: 1_600 }, (_, i) => ({ version: i + 1, share: 0 })) };
  assert.equal(touches(command("put_alias", { alias: "live", route: split })).length, 1);
});

Deno.test("decide() bounds the instances and the bytes of a service", () => {
  let map = emptyMap(EPOCH);
  const add = (command: Command) => {
    const decision = decide(map, command);
    if (decision.kind === "accept") map = next(map, decision.changes);
    return decision;
  };
  for (let n = 0; n < MAX_INSTANCES; n++) assert.equal(add(register(`i${n}`)).kind, "accept");
  const more = add(register("one-more"));
  assert.ok(more.kind === "refuse" && more.code === "too_large" && more.violations[0]?.field === "instances");
  assert.equal(add(register("i0", { port: 9 })).kind, "accept", "those that are there may change");

  map = emptyMap(EPOCH);
  const metadata = { k: "v".repeat(4_000) };
  let last = add(register("i0", { metadata }));
  for (let n = 1; last.kind === "accept"; n++) last = add(register(`i${n}`, { metadata }));
  assert.ok(last.kind === "refuse" && last.code === "too_large" && last.violations[0]?.field === "metadata");
  const service = identity(map)!;
  assert.ok(service.bytes <= MAX_SERVICE_BYTES && service.bytes > MAX_SERVICE_BYTES - 8_192);
  const path = `/${"x".repeat(8_000)}`;
  const check = { kind: "HTTP", path, intervalMs: 1_000, rise: 1, fall: 1 };
  const large = add(command("put_service", { spec: { protocol: "HTTP1", check, balancer: "P2C" } }));
  assert.ok(large.kind === "refuse" && large.code === "too_large" && large.violations[0]?.field === "spec");
  assert.equal(add(command("drain")).kind, "accept", "what does not grow passes");
  assert.equal(add(command("deregister", { id: "i0" })).kind, "accept");
});

function version(number: number) {
  return { kind: "version", version: number };
}

function changesOf(map: ClusterMap, command: Command): readonly Change[] {
  const decision = decide(map, command);
  assert.ok(decision.kind === "accept");
  return decision.changes;
}

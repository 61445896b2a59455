import assert from "node:assert/strict";
import fc from "fast-check";
import type { LeaseLoad } from "../domain/brake.ts";
import type { Change } from "../domain/change.ts";
import { type ClusterMap, emptyMap, findService } from "../domain/cluster_map.ts";
import type { LeaseId, Realm, Ttl } from "../domain/names.ts";
import { anyEvent, EPOCH, type Event, historyOf } from "../domain/testing.ts";
import { Leases } from "./leases.ts";
import { LOCAL, refusal, register, TestClock } from "./testing.ts";

const id = (name: string) => name as LeaseId;
const ttl = 9_000 as Ttl;

/** What the map says of leases, counted anew. */
function holdingsOf(map: ClusterMap) {
  const found: Record<string, { ttl: number; instances: number; held: number; services: string[] }> = {};
  for (const [realm, { services }] of map.realms) {
    for (const [service, { instances }] of services) {
      for (const { lease, ttl, held } of instances) {
        if (lease === undefined) continue;
        const one = found[`${realm}/${lease}`] ??= { ttl: ttl!, instances: 0, held: 0, services: [] };
        one.instances++;
        if (held) one.held++;
        if (!one.services.includes(service)) one.services.push(service);
        one.services.sort();
      }
    }
  }
  return found;
}

/** The same as the table has it. */
function tableOf(leases: Leases) {
  const found: Record<string, unknown> = {};
  for (const [realm, loads] of leases.loads()) {
    for (const { lease, instances, state } of loads) {
      const services = [...leases.servicesOf(realm, [lease])].sort();
      found[`${realm}/${lease}`] = { instances, state, services };
    }
  }
  return found;
}

function expected(map: ClusterMap) {
  return Object.fromEntries(
    Object.entries(holdingsOf(map)).map(([key, { instances, held, services }]) => [
      key,
      { instances, state: held === instances ? "held" : "standing", services },
    ]),
  );
}

/** Registrations under a lease have one ttl, which `leaseFor` sees to. */
const events = fc.array(anyEvent, { maxLength: 60, size: "max" }).map((list) =>
  list.map((event): Event =>
    event.kind === "register" && event.instance.ttl ? { ...event, instance: { ...event.instance, ttl } } : event
  )
);

/** Of a service that is deleted, a store's log says what went with it. */
function asLogged(before: ClusterMap, changes: readonly Change[]): readonly Change[] {
  return changes.flatMap((change): Change[] => {
    if (change.kind !== "delete_service") return [change];
    const { realm, service } = change;
    const instances = findService(before, realm, service)?.instances ?? [];
    return [...instances.map(({ id }) => ({ kind: "delete_instance", realm, service, id }) as const), change];
  });
}

Deno.test("Leases holds what the map says, after any changes", () => {
  let most = 0;
  fc.assert(fc.property(events, (list) => {
    const history = historyOf(list);
    const leases = new Leases(new TestClock());
    leases.reset(history[0]!.map);
    for (const [step, { map, changes }] of history.slice(1).entries()) {
      leases.take(history[step]!.map, asLogged(history[step]!.map, changes));
      assert.deepEqual(tableOf(leases), expected(map));
      const ids = new Set(Object.keys(holdingsOf(map)).map((key) => key.split("/")[1]));
      assert.equal(leases.size, ids.size);
      most = Math.max(most, leases.size);
    }
    const fresh = new Leases(new TestClock());
    fresh.reset(history.at(-1)!.map);
    assert.deepEqual(tableOf(fresh), tableOf(leases));
  }));
  assert.ok(most > 1);
});

Deno.test("Leases knows when each was heard last, whatever changes beside it", () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: anyEvent.map((event) => ({ event })) },
    { weight: 1, arbitrary: fc.constantFrom("l1", "l2").map((beat) => ({ beat })) },
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 40, size: "max" }), (steps) => {
    const clock = new TestClock();
    const leases = new Leases(clock);
    let map = emptyMap(EPOCH);
    const heard = new Map<string, number>();
    const all: Event[] = [];
    for (const step of steps) {
      clock.pass(100);
      if ("beat" in step) {
        assert.equal(leases.beat(id(step.beat)), heard.has(step.beat));
        if (heard.has(step.beat)) heard.set(step.beat, clock.monotonicMs);
        continue;
      }
      const { map: next, changes } = historyOf([...all, step.event]).at(-1)!;
      if (next.position.revision === map.position.revision) continue;
      all.push(step.event);
      leases.take(map, asLogged(map, changes));
      map = next;
      const standing = new Set(Object.keys(holdingsOf(map)).map((key) => key.split("/")[1]!));
      for (const lease of heard.keys()) if (!standing.has(lease)) heard.delete(lease);
      for (const lease of standing) if (!heard.has(lease)) heard.set(lease, clock.monotonicMs);
      for (const [, loads] of leases.loads()) {
        for (const { lease, from } of loads) assert.equal(from, heard.get(lease));
      }
    }
  }));
});

/** A table of the map that some registrations lead to. */
function leasesOf(clock: TestClock, ...registrations: readonly (readonly [string, string, string, number?])[]) {
  const { map } = historyOf(
    registrations.map(([service, instance, lease, ms]) => register(service, instance, { lease, ttl: ms ?? ttl })),
  ).at(-1)!;
  const leases = new Leases(clock);
  leases.reset(map);
  return { map, leases };
}

Deno.test("leaseFor() joins the lease that is asked for, if it stands and has the same ttl", () => {
  const { map, leases } = leasesOf(new TestClock(), ["a", "i", "l1"], ["b", "j", "l1"], ["b", "k", "l2"]);
  const lease = (instance: string, ttl: number, asked?: string, service = "b") =>
    leases.leaseFor(map, register(service), instance as never, ttl as Ttl, asked as LeaseId | undefined);
  assert.equal(lease("new", ttl, "l1"), "l1");
  assert.equal(lease("k", ttl, "l1"), "l1", "it moves");
  assert.deepEqual(
    [refusal(lease("new", 1_000, "l1") as never)].map(({ code, violations }) => [code, violations[0]?.field]),
    [
      ["invalid", "ttl"],
    ],
  );
  assert.equal(refusal(lease("new", ttl, "nobody's") as never).code, "not_found");
  assert.equal(lease("k", ttl), "l2", "the one that holds it alone");
  for (
    const [instance, ms, service] of [["j", ttl, "b"], ["k", 1_000, "b"], ["new", ttl, "b"], ["k", ttl, "a"]] as const
  ) {
    const fresh = lease(instance, ms, undefined, service);
    assert.match(String(fresh), /^[0-9a-f-]{36}$/, `${instance} of ${service} gets a new one`);
    assert.notEqual(lease(instance, ms, undefined, service), fresh);
  }
});

Deno.test("a lease that ends is beaten, joined and found no more, wherever else it holds something", () => {
  const clock = new TestClock();
  const testing = "testing" as Realm;
  const commands = [
    register("a", "i", { lease: "l1", ttl }),
    { ...register("a", "i", { lease: "l1", ttl }), realm: testing },
    register("a", "j", { lease: "l2", ttl }),
  ];
  const [, ...steps] = historyOf(commands);
  const leases = new Leases(clock);
  leases.reset(steps.at(-1)!.map);
  clock.pass(ttl);
  assert.equal(leases.nextEnd(), clock.monotonicMs);
  leases.end(LOCAL, [id("l1")]);
  assert.deepEqual([leases.beat(id("l1")), leases.beat(id("l2"))], [false, true]);
  assert.equal(
    refusal(leases.leaseFor(steps[0]!.map, register("a"), "n" as never, ttl, id("l1")) as never).code,
    "not_found",
  );
  assert.notEqual(leases.leaseFor(steps[0]!.map, register("a"), "i" as never, ttl), "l1");
  assert.deepEqual([...leases.ending()], [[LOCAL, ["l1"]]]);
  const states = () =>
    [...leases.loads()].map(([realm, loads]) => [realm, loads.map(({ lease, state }) => [lease, state])]);
  assert.deepEqual(states(), [["local", [["l1", "removed"], ["l2", "standing"]]], [testing, [["l1", "standing"]]]]);
  assert.equal(leases.nextEnd(), clock.monotonicMs, "it runs out in the other realm");

  const map = steps.at(-1)!.map;
  const reread = new Leases(clock);
  reread.reset(map);
  reread.end(LOCAL, [id("l1")]);
  reread.reset(map);
  assert.deepEqual([[...reread.ending()], reread.beat(id("l1"))], [[], true], "after a start it has a whole ttl again");
  leases.take(map, [{ kind: "delete_instance", realm: LOCAL, service: "a" as never, id: "i" as never }]);
  assert.deepEqual([...leases.ending()], []);
  assert.equal(leases.beat(id("l1")), false, "though it holds something elsewhere");
  leases.take(map, [{ kind: "delete_instance", realm: testing, service: "a" as never, id: "i" as never }]);
  assert.equal(leases.size, 1);
  // For what runs out with it, and what waits for that.
  clock.pass(2 * ttl);
  assert.equal(states().length, 1);
  assert.deepEqual(states()[0], ["local", [["l1", "removed"], ["l2", "standing"]]]);
  clock.pass(1);
  assert.deepEqual(states(), [["local", [["l2", "standing"]]]]);
});

Deno.test("nobody's lease ends before a whole ttl has passed after a start or a pause", () => {
  const clock = new TestClock();
  clock.pass(1_000_000);
  const { map, leases } = leasesOf(clock, ["a", "i", "l1"], ["a", "j", "l2", 1_000]);
  const start = clock.monotonicMs;
  assert.equal(leases.nextEnd(), start + 1_000);
  clock.pass(900);
  leases.pause(899);
  const from = () => new Map([...leases.loads()][0]![1].map(({ lease, from }) => [lease as string, from - start]));
  assert.deepEqual(from(), new Map([["l1", 0], ["l2", 900]]), "for a long ttl it was none");
  assert.ok(leases.nextEnd() <= start + 1_900, "a bound");
  clock.pass(100);
  assert.equal(leases.nextEnd(), start + 1_900);
  leases.pause(900);
  leases.beat(id("l2"));
  assert.deepEqual(from(), new Map([["l1", 1_000], ["l2", 1_000]]));
  clock.pass(5_000);
  leases.reset(map);
  assert.deepEqual(from(), new Map([["l1", 6_000], ["l2", 6_000]]), "the log was lost, say");
  assert.ok(leases.nextEnd() <= clock.monotonicMs + 1_000);
});

Deno.test("a lease that is held comes back by a beat alone, not by a start or a pause", () => {
  const clock = new TestClock();
  clock.pass(1_000_000);
  const registrations = ["i", "j"].map((one) => register("a", one, { lease: "l1", ttl }));
  const hold = { kind: "hold", realm: LOCAL, service: "a", leases: new Set(["l1"]), held: true } as unknown as Event;
  const held = historyOf([...registrations, hold]).at(-1)!.map;
  const leases = new Leases(clock);
  leases.reset(held);
  assert.deepEqual([leases.returned(), leases.nextEnd()], [[], Infinity]);
  leases.pause(1_000_000);
  assert.deepEqual(leases.returned(), []);
  assert.ok(leases.beat(id("l1")));
  assert.deepEqual(leases.returned(), ["l1"]);

  // One of its instances registers again: the other is held still, and comes back too.
  const again = historyOf([...registrations, hold, register("a", "i", { lease: "l1", ttl })]).at(-1)!;
  leases.take(held, again.changes);
  assert.deepEqual(leases.returned(), ["l1"]);
  const state = () => ([...leases.loads()][0]![1] as readonly LeaseLoad[])[0]!.state;
  assert.equal(state(), "standing", "what is not held may end");
  clock.pass(ttl);
  assert.deepEqual(leases.returned(), [], "it was silent since");
  assert.ok(leases.beat(id("l1")));
  assert.deepEqual(leases.returned(), ["l1"]);
  const unhold = { ...hold, held: false } as Event;
  leases.take(again.map, historyOf([unhold], again.map).at(-1)!.changes);
  assert.deepEqual(leases.returned(), [], "it is back");
  leases.take(again.map, historyOf([hold], again.map).at(-1)!.changes);
  leases.reset(emptyMap(EPOCH));
  assert.deepEqual([leases.size, leases.returned()], [0, []]);
});

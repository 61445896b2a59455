import assert from "node:assert/strict";
import fc from "fast-check";
import { BRAKE, judge, type LeaseLoad } from "./brake.ts";

const NOW = 100;

/** Times so small that ends meet, and meet `NOW`. */
const anyLease = (ttl: fc.Arbitrary<number>) =>
  fc.record({
    instances: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 20 })),
    ttl,
    ago: fc.integer({ min: 0, max: 40 }),
    state: fc.constantFrom("standing" as const, "standing" as const, "held" as const, "removed" as const),
  });

const leasesOf = (ttl: fc.Arbitrary<number>) =>
  fc.array(anyLease(ttl), { maxLength: 14, size: "max" }).map((list) =>
    list.map(({ instances, ttl, ago, state }, i): LeaseLoad => ({
      lease: `l${i}` as never,
      instances,
      ttl,
      from: NOW - ago,
      // Only what ran out was held or removed.
      state: ago < ttl ? "standing" : state,
    }))
  );

const anyLeases = fc.oneof(leasesOf(fc.constant(12)), leasesOf(fc.constantFrom(4, 12, 30)));

const endOf = ({ from, ttl }: LeaseLoad) => from + ttl;
const names = (leases: readonly LeaseLoad[]) => leases.map(({ lease }) => lease as string).sort();
const sum = (leases: readonly LeaseLoad[]) => leases.reduce((sum, { instances }) => sum + instances, 0);

/** The rule as it is written, tried at every beginning of a TTL. */
function tooMany(lease: LeaseLoad, ending: readonly LeaseLoad[], all: readonly LeaseLoad[]): boolean {
  return ending.map(endOf).some((from) => {
    if (endOf(lease) < from || endOf(lease) > from + lease.ttl) return false;
    const within = ending.filter((one) => one.instances > 0 && endOf(one) >= from && endOf(one) <= from + lease.ttl);
    return within.length >= 2 && sum(within) >= 5 && 10 * sum(within) > 3 * sum(all);
  });
}

Deno.test("judge() does what the rule says", () => {
  const seen = { held: 0, removed: 0, waiting: 0 };
  fc.assert(
    fc.property(anyLeases, (leases) => {
      const { hold, remove } = judge(leases, NOW);
      const ranOut = leases.filter((lease) => endOf(lease) <= NOW);
      const silent = leases.filter((lease) => endOf(lease) > NOW && NOW - lease.from >= lease.ttl / 2);
      const open = ranOut.filter(({ state, instances }) => state === "standing" && instances > 0);
      const held = open.filter((lease) => tooMany(lease, ranOut, leases));
      const waiting = open.filter((lease) => !held.includes(lease) && tooMany(lease, [...ranOut, ...silent], leases));
      const mine = (ids: readonly string[]) => ids.filter((id) => open.some(({ lease }) => lease === id)).sort();
      assert.deepEqual(mine(hold), names(held));
      assert.deepEqual(mine(remove), names(open.filter((lease) => !held.includes(lease) && !waiting.includes(lease))));
      seen.held += held.length;
      seen.removed += remove.length;
      seen.waiting += waiting.length;
    }),
    { numRuns: 2_000 },
  );
  assert.ok(Object.values(seen).every((times) => times > 100), JSON.stringify(seen));
});

Deno.test("judge() keeps nobody waiting for longer than a TTL", () => {
  fc.assert(
    fc.property(anyLeases, fc.integer({ min: 0, max: 60 }), (leases, later) => {
      const { hold, remove } = judge(leases, NOW + later);
      for (const lease of leases) {
        if (lease.state !== "standing" || NOW + later <= endOf(lease) + lease.ttl) continue;
        assert.ok(hold.includes(lease.lease) || remove.includes(lease.lease), lease.lease);
      }
    }),
    { numRuns: 3_000 },
  );
});

Deno.test("judge() leaves alone who still beats and what is decided already", () => {
  fc.assert(fc.property(anyLeases, (leases) => {
    const { hold, remove } = judge(leases, NOW);
    for (const { lease, state, from, ttl } of leases) {
      if (state === "standing" && from + ttl <= NOW) continue;
      assert.ok(!hold.includes(lease) && !remove.includes(lease));
    }
  }));
});

/** Leases of `ttl` 10, by when they end before `NOW`; `beating` instances on one lease that stands. */
function judged(
  ends: readonly (readonly [name: string, ago: number, instances: number, state?: LeaseLoad["state"]])[],
  beating: number,
) {
  const load = ([name, ago, instances, state = "standing"]: (typeof ends)[number]): LeaseLoad => ({
    lease: name as never,
    instances,
    ttl: 10,
    from: NOW - 10 - ago,
    state,
  });
  return judge([load(["standing", -9, beating]), ...ends.map(load)], NOW);
}

Deno.test("judge() draws the line where the rule has it", () => {
  const held = (verdict: ReturnType<typeof judge>) => verdict.hold.length;
  // 30 of 100 go, 31 of 100 stay.
  assert.deepEqual(judged([["a", 0, 15], ["b", 0, 15]], 70), { remove: ["a", "b"], hold: [] });
  assert.deepEqual(judged([["a", 0, 15], ["b", 0, 16]], 69), { remove: [], hold: ["a", "b"] });
  // One lease alone goes, whatever it holds; so do four instances.
  assert.deepEqual(judged([["a", 0, 100]], 0).remove, ["a"]);
  assert.deepEqual(judged([["a", 0, 2], ["b", 0, 2]], 0).remove, ["a", "b"]);
  assert.equal(held(judged([["a", 0, 2], ["b", 0, 3]], 0)), 2);
  // A TTL apart is together, more is not.
  assert.equal(held(judged([["a", 10, 5], ["b", 0, 5]], 0)), 2);
  assert.equal(held(judged([["a", 11, 5], ["b", 0, 5]], 0)), 0);
  assert.deepEqual(BRAKE, { percent: 30, leases: 2, instances: 5 });
});

Deno.test("judge() counts what it decided before", () => {
  assert.deepEqual(judged([["a", 5, 5, "held"], ["b", 0, 1]], 10).hold, ["b"]);
  assert.deepEqual(judged([["a", 5, 5, "removed"], ["b", 0, 1]], 10).hold, ["b"]);
  assert.deepEqual(judged([["a", 11, 5, "held"], ["b", 0, 1]], 10).remove, ["b"]);
  // What was removed was part of the realm: 4 of 14 are fewer than 4 of 10.
  assert.deepEqual(judged([["a", 11, 4, "removed"], ["b", 0, 2], ["c", 0, 3]], 8).remove, ["b", "c"]);
});

Deno.test("judge() waits while others are silent, and decides once they have run out or come back", () => {
  // Last beats of three at once; "a" has the earliest end.
  const crowd = (b: number, c: number) => judged([["a", 0, 2], ["b", b, 2], ["c", c, 2]], 10);
  assert.deepEqual(crowd(-3, -5), { remove: [], hold: [] });
  assert.deepEqual(crowd(-10, -10), { remove: ["a"], hold: [] }, "they beat just now");
  assert.deepEqual(crowd(-6, -6), { remove: ["a"], hold: [] }, "they missed no beat");
  assert.deepEqual(crowd(0, 0), { remove: [], hold: ["a", "b", "c"] });
});

Deno.test("judge() goes by the TTL of the lease that it judges", () => {
  const load = (
    lease: string,
    ttl: number,
    end: number,
    instances: number,
    state: LeaseLoad["state"] = "standing",
  ) => ({ lease: lease as never, ttl, from: end - ttl, instances, state });
  // Half a day may pass between the ends of long leases: no reason to keep a short one that long.
  const long = [load("long", 10_000, NOW - 200, 50, "held"), load("silent", 10_000, NOW + 4_000, 50)];
  assert.deepEqual(judge([...long, load("short", 10, NOW, 1)], NOW).remove, ["short"]);
  assert.deepEqual(judge([...long, load("other", 10_000, NOW, 1)], NOW).hold, ["other"]);
});

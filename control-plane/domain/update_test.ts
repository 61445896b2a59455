import assert from "node:assert/strict";
import fc from "fast-check";
import { type ClusterMap, emptyMap } from "./cluster_map.ts";
import type { Epoch, Realm, ServiceName } from "./names.ts";
import { anyEvent, Folded, historyOf } from "./testing.ts";
import { collect, type Scope, servicesIn, since } from "./update.ts";

const history = fc.array(anyEvent, { minLength: 1, maxLength: 40, size: "max" }).map((events) =>
  historyOf(events).map(({ map }) => map)
);
const scope: fc.Arbitrary<Scope> = fc.record({
  realm: fc.constantFrom("local" as Realm, "testing" as Realm),
  services: fc.option(fc.subarray(["a", "b", "nowhere"] as ServiceName[]).map((names) => new Set(names)), {
    nil: undefined,
    freq: 2,
  }),
}).map(({ realm, services }) => services ? { realm, services } : { realm });

Deno.test("since() folded over any chain of maps gives the newest map in scope", () => {
  fc.assert(
    fc.property(history, scope, fc.array(fc.nat()), (maps, where, picks) => {
      const chain = [...new Set(picks.map((pick) => pick % maps.length))].sort((a, b) => a - b);
      const folded = new Folded();
      for (const index of [...chain, maps.length - 1]) {
        const map = maps[index] as ClusterMap;
        folded.fold(since(map, where, folded.position));
        assert.deepEqual(folded.sorted(), servicesIn(map, where));
        assert.deepEqual(folded.position, map.position);
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("since() says only what changed where that can be told", () => {
  fc.assert(fc.property(history, scope, fc.nat(), (maps, where, pick) => {
    const newest = maps.at(-1)!;
    const { position } = maps[pick % maps.length]!;
    const update = since(newest, where, position);
    const told = position.epoch === newest.position.epoch && position.revision >= newest.floor;
    assert.equal(update.complete, !told);
    if (!update.complete) assert.ok(update.set.every(({ modified }) => modified > position.revision));
  }));
});

Deno.test("since() begins anew for another epoch and for a position ahead of the map", () => {
  const map = emptyMap(7n as Epoch);
  const all = { realm: "local" as Realm };
  assert.equal(since(map, all).complete, true);
  assert.equal(since(map, all, map.position).complete, false);
  assert.equal(since(map, all, { ...map.position, epoch: 6n as Epoch }).complete, true);
  assert.equal(since(map, all, { ...map.position, revision: 1n as never }).complete, true);
});

Deno.test("collect() of the names touched in between equals since()", () => {
  fc.assert(fc.property(history, fc.nat(), (maps, pick) => {
    const before = maps[pick % maps.length]!;
    const newest = maps.at(-1)!;
    const where = { realm: "local" as Realm };
    const folded = new Folded();
    folded.fold(since(before, where));
    const touched = new Set<ServiceName>();
    for (const map of maps.slice(maps.indexOf(before) + 1)) {
      for (const name of ["a", "b", "c", "d"] as ServiceName[]) {
        const now = map.realms.get(where.realm)?.services.get(name);
        if (now?.modified === map.position.revision || !now) touched.add(name);
      }
    }
    folded.fold(collect(newest, where.realm, touched));
    assert.deepEqual(folded.sorted(), servicesIn(newest, where));
  }));
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { PersistentMap } from "./persistent_map.ts";

// "costarring" and "liquid" have one FNV-1a hash: they share a leaf at any depth.
const key = fc.oneof(fc.constantFrom("costarring", "liquid"), fc.string({ maxLength: 2 }));

Deno.test("PersistentMap behaves like a Map, and its older versions stay", () => {
  const operation = fc.record({ key, value: fc.option(fc.nat()) });
  fc.assert(fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
    let map = PersistentMap.empty<string, number>();
    const model = new Map<string, number>();
    const versions: [PersistentMap<string, number>, [string, number][]][] = [];
    for (const { key, value } of operations) {
      map = value === null ? map.delete(key) : map.set(key, value);
      value === null ? model.delete(key) : model.set(key, value);
      versions.push([map, [...model]]);
      assert.equal(map.get(key), model.get(key));
    }
    for (const [version, entries] of versions) {
      assert.equal(version.size, entries.length);
      assert.deepEqual(new Map(version), new Map(entries));
    }
  }));
});

Deno.test("PersistentMap keeps many entries apart", () => {
  let map = PersistentMap.empty<string, number>();
  for (let n = 0; n < 20_000; n++) map = map.set(`service-${n}`, n);
  for (let n = 0; n < 20_000; n++) assert.equal(map.get(`service-${n}`), n);
  for (let n = 0; n < 20_000; n += 2) map = map.delete(`service-${n}`);
  assert.deepEqual([map.size, [...map].length, map.get("service-0")], [10_000, 10_000, undefined]);
});

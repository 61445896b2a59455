import assert from "node:assert/strict";
import fc from "fast-check";
import { ringWeights } from "./weights.ts";

Deno.test("ringWeights() keeps every ratio, in HAProxy's range, and is small where it can be", () => {
  const weight = fc.integer({ min: 0, max: 256 });
  fc.assert(fc.property(fc.array(weight, { maxLength: 12 }), (weights) => {
    const rings = ringWeights(weights);
    assert.equal(rings.length, weights.length);
    for (const [at, ring] of rings.entries()) {
      assert.ok(Number.isInteger(ring) && ring >= 0 && ring <= 256);
      for (const [other, otherRing] of rings.entries()) {
        assert.equal(ring * (weights[other] ?? 0), otherRing * (weights[at] ?? 0));
      }
    }
  }));
  assert.deepEqual(ringWeights([100, 100]), [4, 4]);
  assert.deepEqual(ringWeights([100, 0, 50]), [8, 0, 4]);
  assert.deepEqual(ringWeights([255, 256]), [255, 256]);
  assert.deepEqual(ringWeights([0]), [0]);
  assert.deepEqual(ringWeights([]), []);
});

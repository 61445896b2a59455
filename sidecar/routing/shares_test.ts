import assert from "node:assert/strict";
import fc from "fast-check";
import { ALL_BUCKETS, inTenths, prefixes, sharePrefixes } from "./shares.ts";

Deno.test("prefixes() covers all buckets with one digit, and one bucket with five", () => {
  assert.deepEqual(prefixes(0, 10_000), ["1"]);
  assert.deepEqual(prefixes(9_999, 10_000), ["19999"]);
  assert.deepEqual(prefixes(0, 0), []);
  assert.deepEqual(prefixes(990, 1_100), ["1099", "110"]);
});

Deno.test("inTenths() says all buckets in another way", () => {
  const digits = Array.from({ length: 10 }, (_, digit) => String(10 + digit));
  assert.deepEqual(inTenths([ALL_BUCKETS]), digits);
  assert.deepEqual(inTenths(["11", "105"]), ["11", "105"]);
});

Deno.test("sharePrefixes() gives each bucket to the share that its number falls in", () => {
  const cuts = fc.array(fc.integer({ min: 0, max: 10_000 }), { maxLength: 5 }).map((some) =>
    some.sort((a, b) => a - b)
  );
  fc.assert(fc.property(cuts, (some) => {
    const ends = [...some, 10_000];
    const shares = ends.map((end, at) => end - (ends[at - 1] ?? 0));
    const owner = new Map(sharePrefixes(shares).flatMap((own, at) => own.map((prefix) => [prefix, at] as const)));
    // Near the cuts, where a mistake would be.
    for (const bucket of [0, 9_999, ...some.flatMap((cut) => [cut - 1, cut, cut + 1])]) {
      if (bucket < 0 || bucket > 9_999) continue;
      const found = [5, 4, 3, 2, 1].map((digits) => owner.get(String(10_000 + bucket).slice(0, digits)))
        .filter((at) => at !== undefined);
      assert.deepEqual(found, [ends.findIndex((end) => bucket < end)], `bucket ${bucket} of ${shares}`);
    }
    assert.ok(owner.size <= 40 * ends.length);
  }));
});

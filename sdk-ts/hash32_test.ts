import assert from "node:assert/strict";
import { bucketOf, hash32 } from "./hash32.ts";

Deno.test("hash32() is what every SDK and HAProxy compute", async () => {
  const lines = await Deno.readTextFile(new URL("testdata/hash32.ndjson", import.meta.url));
  const cases = lines.trim().split("\n").map((line) => JSON.parse(line));
  for (const { id, input, expect } of cases) assert.equal(hash32(input.text), expect, id);
  assert.ok(cases.length > 5);
  // Published values of xxHash32.
  assert.equal(hash32(""), 0x02CC5D05);
  assert.equal(hash32("a"), 0x550D7456);
  assert.equal(hash32("Nobody inspects the spammish repetition"), 0xE2293B2F);
});

Deno.test("bucketOf() gives every key one of ten thousand", () => {
  const seen = new Set<number>();
  for (let at = 0; at < 200_000; at++) seen.add(bucketOf("identity", `${at}`));
  assert.equal(seen.size, 10_000);
  assert.deepEqual([Math.min(...seen), Math.max(...seen)], [0, 9_999]);
});

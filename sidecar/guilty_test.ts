import assert from "node:assert/strict";
import fc from "fast-check";
import { Refused } from "./haproxy/data_folder.ts";
import { guilty } from "./guilty.ts";

Deno.test("guilty() finds whoever does harm alone, and asks few questions", async () => {
  const names = Array.from({ length: 64 }, (_, at) => `s${at}`);
  await fc.assert(fc.asyncProperty(fc.subarray(names, { maxLength: 3 }), async (bad) => {
    let asked = 0;
    const check = (few: readonly string[]) => {
      asked++;
      return refuse(few.some((name) => bad.includes(name)));
    };
    assert.deepEqual(await guilty(names, check), bad);
    assert.ok(asked <= 1 + 2 * 6 * bad.length, `${asked} questions for ${bad.length}`);
  }));
});

Deno.test("guilty() accuses nobody who does harm only together with others", async () => {
  assert.deepEqual(await guilty(["a", "b"], (few) => refuse(few.length > 1)), []);
});

Deno.test("guilty() takes no broken disk for a refusal", async () => {
  await assert.rejects(guilty(["a", "b"], () => Promise.reject(new Error("disk"))), /disk/);
});

function refuse(bad: boolean): Promise<void> {
  return bad ? Promise.reject(new Refused("it is not liked")) : Promise.resolve();
}

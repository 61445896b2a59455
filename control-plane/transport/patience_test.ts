import assert from "node:assert/strict";
import { Patience } from "./patience.ts";

class Late extends Error {}

const never = new Promise<never>(() => {});

Deno.test("Patience ends each wait that takes too long, and no other", async () => {
  const patience = new Patience(20, () => new Late());
  const inTime = Promise.withResolvers<string>();
  const [first, second, answered] = [patience.wait(never), patience.wait(never), patience.wait(inTime.promise)];
  inTime.resolve("answer");
  assert.equal(await answered, "answer");
  await assert.rejects(first, Late);
  await assert.rejects(second, Late);
  await assert.rejects(patience.wait(Promise.reject(new TypeError("broken"))), TypeError);
  // One that began while another one was waited for has all of its time.
  const earlier = patience.wait(never);
  const begun = performance.now();
  const later = patience.wait(never);
  await assert.rejects(earlier, Late);
  await assert.rejects(later, Late);
  assert.ok(performance.now() - begun >= 19);
});

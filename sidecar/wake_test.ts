import assert from "node:assert/strict";
import { Wake } from "./wake.ts";

Deno.test("what is said before anybody waits is heard once", async () => {
  const wake = new Wake();
  wake.set();
  wake.set();
  await wake.wait();
  let isHeard = false;
  const next = wake.wait().then(() => isHeard = true);
  await new Promise((done) => setTimeout(done, 0));
  assert.equal(isHeard, false);
  wake.set();
  await next;
});

Deno.test("each cause wakes at its time: one that comes sooner does not take the place of another", async () => {
  for (const causes of [["refill", "ports"], ["ports", "refill"]]) {
    const wake = new Wake();
    const begun = performance.now();
    for (const cause of causes) wake.later(cause, cause === "refill" ? 20 : 1);
    // Where nobody wakes it, this waits for good, which ends the test.
    while (performance.now() - begun < 15) await wake.wait();
  }
});

Deno.test("the time that was said last for a cause counts, and none once all is forgotten", async () => {
  const wake = new Wake();
  const begun = performance.now();
  wake.later("refill", 1);
  wake.later("refill", 30);
  await wake.wait();
  // Timers may be early by less than 1 ms.
  assert.ok(performance.now() - begun > 29);
  wake.later("refill", 1);
  wake.later("ports", 1);
  wake.clear();
  let isHeard = false;
  void wake.wait().then(() => isHeard = true);
  await new Promise((done) => setTimeout(done, 10));
  assert.equal(isHeard, false);
});

import assert from "node:assert/strict";
import { reconnectDelay } from "./backoff.ts";

Deno.test("reconnectDelay() doubles up to 3 s, and chance takes at most a half", () => {
  const least = [1, 2, 3, 4, 5, 6, 7, 8, 1000].map((n) => reconnectDelay(n, () => 0.999999));
  const most = [1, 2, 3, 4, 5, 6, 7, 8, 1000].map((n) => reconnectDelay(n, () => 0));
  assert.deepEqual(most, [50, 100, 200, 400, 800, 1600, 3000, 3000, 3000]);
  assert.deepEqual(least, [25, 50, 100, 200, 400, 800, 1500, 1500, 1500]);
});

import assert from "node:assert/strict";
import { reconnectDelay } from "./backoff.ts";

Deno.test("reconnectDelay() doubles up to 3 s, of which chance takes any part", () => {
  const delays = (chance: number) => [1, 2, 3, 4, 5, 6, 7, 8, 1000].map((n) => reconnectDelay(n, () => chance));
  assert.deepEqual(delays(0), [50, 100, 200, 400, 800, 1600, 3000, 3000, 3000]);
  assert.deepEqual(delays(0.5), [25, 50, 100, 200, 400, 800, 1500, 1500, 1500]);
  assert.deepEqual(delays(0.9999), [0, 0, 0, 0, 0, 0, 0, 0, 0]);
});

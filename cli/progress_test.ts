import assert from "node:assert/strict";
import { progress } from "./progress.ts";

/** What is said at these times, in ms, each with its time as the text. */
function said(times: readonly number[], lookedOn: boolean): string[] {
  const printed: string[] = [];
  let now = 0;
  const shown = progress({ err: (text) => void printed.push(text), lookedOn }, "wait", () => now);
  for (const time of times) {
    now = time;
    shown.now(`at ${time}`);
  }
  shown[Symbol.dispose]();
  return printed;
}

Deno.test("progress() says nothing of what is over in a moment", () => {
  assert.deepEqual([said([0, 100, 499], true), said([0, 100, 4_999], false)], [[], []]);
});

Deno.test("progress() writes one line anew on a terminal, and clears it at the end", () => {
  const clear = "\r\x1b[K";
  assert.deepEqual(said([500, 550, 600], true), [
    `${clear}portolan wait: at 500`,
    `${clear}portolan wait: at 600`,
    clear,
  ]);
});

Deno.test("progress() writes plain lines elsewhere, seldom", () => {
  assert.deepEqual(said([5_000, 6_000, 10_000], false), ["portolan wait: at 5000\n", "portolan wait: at 10000\n"]);
});

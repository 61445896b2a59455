import assert from "node:assert/strict";
import { figure, spread, table, takeTurns } from "./measure.ts";

Deno.test("spread() answers with samples that were measured, the worse ones last", () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  assert.deepEqual(spread(hundred), { p50: 50, p99: 99, samples: 100 });
  assert.deepEqual(spread(hundred, "/s"), { p50: 51, p99: 2, samples: 100 });
  assert.deepEqual(spread([3, 1, 2]), { p50: 2, p99: 3, samples: 3 });
  assert.deepEqual(spread([7]), { p50: 7, p99: 7, samples: 1 });
});

Deno.test("takeTurns() lets each subject begin a round in turn, and leaves out what warmed up", async () => {
  const log: string[] = [];
  const subject = (name: string) => () => Promise.resolve(log.push(name));
  const found = await takeTurns({ a: subject("a"), b: subject("b") }, { rounds: 2, samples: 2, warmUp: 1 });
  assert.equal(log.join(""), "ab" + "bbaa" + "aabb");
  assert.deepEqual(found, { a: [5, 6, 7, 8], b: [3, 4, 9, 10] });
});

Deno.test("table() has a line for each floor, with the ratio to it", () => {
  const lines = table([
    figure("write", [3], { disk: [1], network: [2] }),
    figure("reads", [5_000], { bare: [1e4] }, "/s"),
  ]);
  assert.deepEqual(lines.split("\n").map((line) => line.split(/  +/)), [
    ["figure", "unit", "n", "p50", "p99", "floor", "p50", "p99", "ratio"],
    ["write", "ms", "1", "3.00", "3.00", "disk", "1.00", "1.00", "3.00"],
    ["", "network", "2.00", "2.00", "1.50"],
    ["reads", "/s", "1", "5000", "5000", "bare", "10000", "10000", "0.50"],
    [""],
  ]);
});

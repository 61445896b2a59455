import assert from "node:assert/strict";
import { figure, paired, spread, table, takeTurns } from "./measure.ts";

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

Deno.test("takeTurns() gives some subjects turns of their own", async () => {
  const log: string[] = [];
  const subject = (name: string) => () => Promise.resolve(log.push(name));
  const subjects = { a: subject("a"), b: subject("b") };
  const found = await takeTurns(subjects, { rounds: 1, samples: 2, warmUp: 1 }, { b: { samples: 3, warmUp: 0 } });
  assert.equal(log.join(""), "a" + "bbbaa");
  assert.deepEqual(found, { a: [5, 6], b: [2, 3, 4] });
});

Deno.test("paired() compares what is of one round", () => {
  const { floors: [floor] } = paired("request", [2, 30, 9], { bare: [1, 10, 9] }, "µs");
  assert.deepEqual(floor?.ratio, { p50: 2, p10: 1, p90: 3 });
  assert.deepEqual([floor?.p50, floor?.p99], [9, 10]);
});

Deno.test("table() has a line for each floor, with the ratio to it", () => {
  const lines = table([
    figure("write", [3], { disk: [1], network: [2] }),
    figure("reads", [5_000], { bare: [1e4] }, "/s"),
    paired("CPU", [3, 4], { bare: [1, 2] }, "µs"),
    figure("reloads", [1], { nobody: [0] }, ""),
  ]);
  assert.deepEqual(lines.split("\n").map((line) => line.split(/  +/)), [
    ["figure", "unit", "n", "p50", "p99", "floor", "p50", "p99", "ratio"],
    ["write", "ms", "1", "3.00", "3.00", "disk", "1.00", "1.00", "3.00"],
    ["", "network", "2.00", "2.00", "1.50"],
    ["reads", "/s", "1", "5000", "5000", "bare", "10000", "10000", "0.50"],
    ["CPU", "µs", "2", "3.00", "4.00", "bare", "1.00", "2.00", "2.00 (2.00–3.00)"],
    ["reloads", "1", "1.00", "1.00", "nobody", "0", "0", "–"],
    [""],
  ]);
});

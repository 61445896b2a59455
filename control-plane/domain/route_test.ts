import assert from "node:assert/strict";
import { MOST_SHARES, parseSplit } from "./route.ts";

Deno.test("parseSplit() has one form for one split and refuses all else", () => {
  const shares = (...pairs: [number, number][]) => pairs.map(([version, share]) => ({ version, share })) as never;
  assert.deepEqual(parseSplit(shares([2, 1_000], [1, 9_000])), {
    kind: "split",
    shares: [{ version: 1, share: 9_000 }, { version: 2, share: 1_000 }],
  });
  const many = (count: number) =>
    shares(...Array.from({ length: count }, (_, i): [number, number] => [i + 1, i === 0 ? 10_000 : 0]));
  assert.ok("shares" in parseSplit(many(MOST_SHARES)));
  for (
    const [bad, problem] of [
      [many(MOST_SHARES + 1), /at most 100 versions/],
      [shares([1, 10_000]), /two or more/],
      [shares([1, 9_000], [2, 999]), /add up to 10000 basis points, not 9999/],
      [shares([1, 5_000], [1, 5_000]), /v1 occurs again/],
      [shares([1, 9_999.5], [2, 0.5]), /whole numbers/],
      [shares([1, 10_001], [2, -1]), /whole numbers/],
    ] as const
  ) assert.match((parseSplit(bad) as { problem: string }).problem, problem);
});

import assert from "node:assert/strict";
import { comparePositions, formatPosition, samePosition } from "./position.ts";

Deno.test("comparePositions() goes by the epoch, then by the revision", () => {
  const most = 2n ** 64n - 1n;
  const ascending = [[0n, 0n], [0n, most], [1n, 9n], [1n, 10n], [2n, 1n], [most - 1n, most], [most, 0n], [most, 1n]];
  const points = ascending.map(([epoch = 0n, revision = 0n]) => ({ epoch, revision }));
  for (const [i, a] of points.entries()) {
    for (const [j, b] of points.entries()) {
      assert.equal(Math.sign(comparePositions(a, b)), Math.sign(i - j), `${formatPosition(a)}, ${formatPosition(b)}`);
      assert.equal(samePosition(a, b), i === j);
    }
  }
});

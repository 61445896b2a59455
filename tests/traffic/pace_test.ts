import assert from "node:assert/strict";
import { Pace } from "./pace.ts";

Deno.test("Pace gives each request its turn, and says from when on it waits", async () => {
  const begun = performance.now();
  const pace = new Pace(100);
  // All are idle: each goes when it is due.
  const turns = await Promise.all(Array.from({ length: 4 }, () => pace.next()));
  assert.deepEqual(turns.toSorted((a = 0, b = 0) => a - b), turns);
  turns.forEach((turn = 0, n) => assert.ok(turn >= begun + n * 10, `turn ${n} after ${turn - begun} ms`));
  // Nobody is idle for a while: what was due meanwhile waits since then.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const first = await pace.next() ?? 0;
  const second = await pace.next() ?? 0;
  assert.ok(first >= begun + 40 && first < performance.now() - 5, `${first - begun} ms`);
  assert.ok(Math.abs(second - first - 10) < 1e-6, `${second - first} ms`);
  pace.end();
});

Deno.test("Pace ends for those who wait, and for those who come later", async () => {
  const pace = new Pace(0.001);
  await pace.next();
  const waiting = pace.next();
  pace.end();
  assert.equal(await waiting, undefined);
  assert.equal(await pace.next(), undefined);
});

Deno.test("Pace without a rate keeps nobody waiting", async () => {
  const pace = new Pace(undefined);
  assert.ok(await pace.next());
  pace.end();
  assert.equal(await pace.next(), undefined);
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { fits, fitted, share } from "./top_layout.ts";

Deno.test("fitted() shortens cells of the columns that may be, in their order, no more than it must", () => {
  const rows = [["NAME", "COUNT", "WHY"], ["identity-of-all", "1", "because it is so"], ["é", "2", ""]];
  assert.deepEqual(fitted(rows, 80, [0, 2]), [
    "NAME             COUNT  WHY",
    "identity-of-all  1      because it is so",
    "é                2",
  ]);
  assert.ok(fits(rows, 40) && !fits(rows, 39));
  assert.deepEqual(fitted(rows, 36, [0, 2])[1], "identity-o…  1      because it is so");
  assert.deepEqual(fitted(rows, 30, [0, 2])[1], "identit…  1      because it i…");
  assert.deepEqual(fitted(rows, 1, [0, 2])[1], "identit…  1      because…");
});

Deno.test("share() gives away all lines that are of use, and to each part what it needs or as much as any other", () => {
  const lengths = fc.array(fc.nat(30), { minLength: 1, maxLength: 4 });
  fc.assert(fc.property(lengths, fc.nat(60), (lengths, lines) => {
    const parts = lengths.map((length) => Array.from({ length }, (_, at) => `${at}`));
    const shown = share(parts, lines);
    const used = shown.reduce((sum, part) => sum + part.length, 0);
    const wanted = lengths.reduce((sum, length) => sum + length, 0);
    assert.ok(used <= Math.max(lines, 0) + lengths.length && used >= Math.min(lines, wanted));
    for (const [at, part] of shown.entries()) {
      const length = lengths[at] ?? 0;
      const whole = part.length === length && !part.at(-1)?.startsWith("…");
      if (whole) continue;
      const hidden = length - (part.length - 1);
      assert.equal(part.at(-1), `… ${hidden} more`);
      for (const other of shown) assert.ok(other.length <= part.length + 1, "nobody has more than who is cut");
    }
  }));
});

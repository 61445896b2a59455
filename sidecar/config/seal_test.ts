import assert from "node:assert/strict";
import fc from "fast-check";
import { later, seal, unseal } from "./seal.ts";

const sealed = fc.record({
  body: fc.string().map((text) => text + "\n"),
  position: fc.constantFrom("none", "1.2", "1700000000000.18446744073709551615"),
});

Deno.test("unseal() gives back what was sealed", () => {
  fc.assert(
    fc.property(sealed, ({ body, position }) => assert.deepEqual(unseal(seal({ body, position })), { body, position })),
  );
});

Deno.test("unseal() takes no file that was cut off or changed", () => {
  const whole = seal({ body: "frontend egress\n  bind 127.0.0.1:7410\n", position: "17.42" });
  for (let at = 0; at < whole.length; at++) {
    assert.equal(unseal(whole.slice(0, at)), undefined, `cut off after ${at}`);
    const changed = whole.slice(0, at) + (whole[at] === "x" ? "y" : "x") + whole.slice(at + 1);
    assert.equal(unseal(changed), undefined, `changed at ${at}`);
  }
  assert.equal(unseal(whole + "# more\n"), undefined);
  assert.equal(unseal(""), undefined);
});

Deno.test("later() goes by the epoch, then by the revision", () => {
  assert.equal(later("1.9", "1.10"), "1.10");
  assert.equal(later("2.1", "1.10"), "2.1");
  assert.equal(later("none", "1.0"), "1.0");
  assert.equal(later("1.0", "none"), "1.0");
});

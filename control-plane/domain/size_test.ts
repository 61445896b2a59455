import assert from "node:assert/strict";
import fc from "fast-check";
import { metadataBytes, textBytes } from "./size.ts";

Deno.test("textBytes() counts the bytes of UTF-8", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => {
    assert.equal(textBytes(text), new TextEncoder().encode(text).length);
  }));
  assert.equal(metadataBytes({ ü: "漢", "": "🙂" }), 2 + 3 + 4);
});

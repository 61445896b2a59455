import assert from "node:assert/strict";
import fc from "fast-check";
import { line, phrase, Word } from "./text.ts";

const BAD = ["", " ", "a b", "a\nb", "a;b", "a'b", "a\tb", "A", "ä", "a/b", "a#", "$a", "%[a]", "a\\", "-a", "a\0"];

Deno.test("a word is made of its own grammar and of nothing else", () => {
  const makers: readonly ((text: string) => Word)[] = [
    Word.name,
    Word.route,
    Word.header,
    Word.slot,
    Word.ip,
    Word.rowKey,
    (text) => Word.rowValue("identity/1", text),
    (text) => Word.rowValue("identity/s", text),
    (text) => Word.socketAddress(text, 80),
  ];
  for (const make of makers) {
    for (const bad of BAD) assert.throws(() => make(bad), /^TypeError: Cannot write /, JSON.stringify(bad));
    fc.assert(fc.property(fc.oneof(fc.string(), fc.string({ unit: "binary" })), (text) => {
      const made = attempt(() => make(text).text);
      assert.ok(made === undefined || /^[a-z0-9_.:/[\]-]+$/.test(made), JSON.stringify(made));
    }));
  }
});

Deno.test("words are what they are called", () => {
  assert.equal(Word.route("canary.identity").text, "canary.identity");
  assert.equal(Word.route("v42.identity").text, "v42.identity");
  assert.equal(Word.socketAddress("::1", 80).text, "[::1]:80");
  assert.equal(Word.rowKey("identity/19999").text, "identity/19999");
  for (const bad of ["v0.identity", "a.b.c", ".identity", "identity."]) assert.throws(() => Word.route(bad));
  for (const bad of ["identity/2", "identity/199999", "identity/1/1", "identity", "identity/x"]) {
    assert.throws(() => Word.rowKey(bad));
  }
  for (const bad of ["1.2.3", "::1%eth0", "localhost", "1.2.3.4:5"]) assert.throws(() => Word.ip(bad));
  assert.throws(() => Word.quoted("it's"));
  assert.throws(() => Word.fileName("/etc/passwd"));
  assert.throws(() => Word.fileName("../up"));
});

Deno.test("a line takes words and whole numbers, and no bare text", () => {
  assert.equal(line`server ${Word.name("i1")} weight ${7}`.text, "server i1 weight 7\n");
  assert.equal(phrase`a ${phrase`b`}`.text, "a b");
  for (const bad of ["i1", 1.5, -1, NaN, 2 ** 60, undefined, { text: "i1" }]) {
    assert.throws(() => line`server ${bad as never}`, /^TypeError: Cannot write /);
  }
});

function attempt<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}

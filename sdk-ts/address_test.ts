import assert from "node:assert/strict";
import fc from "fast-check";
import { nameProblem, qualifierProblem } from "../proto/names.ts";
import { isServiceUrl, parseAddress } from "./address.ts";

Deno.test("parseAddress() reads service, qualifier and the rest, which travels untouched", () => {
  const rows: [string, string | undefined, string, string][] = [
    ["service://identity/teams/7?x=1#top", undefined, "identity", "/teams/7?x=1#top"],
    ["service://canary.identity/a", "canary", "canary.identity", "/a"],
    ["service://v42.identity/", "v42", "v42.identity", "/"],
    ["service://live.identity/a", undefined, "identity", "/a"],
    ["service://identity", undefined, "identity", "/"],
    ["service://identity?x=1", undefined, "identity", "/?x=1"],
    ["service://identity#f", undefined, "identity", "/#f"],
    ["service://identity//a/../B%2e%2E/é ?Ä=\\", undefined, "identity", "//a/../B%2e%2E/é ?Ä=\\"],
  ];
  for (const [text, qualifier, route, rest] of rows) {
    assert.deepEqual(parseAddress(text), { kind: "address", service: "identity", qualifier, route, rest });
  }
});

Deno.test("parseAddress() refuses with a sentence that quotes the text", () => {
  const rows: [string, RegExp][] = [
    ["service://Identity/", /service "Identity": expected lower case/],
    ["SERVICE://identity/", /expected "service:\/\/"/],
    ["service:identity", /expected "service:\/\/"/],
    ["service:///path", /service "": expected a name, not nothing/],
    ["service://a.b.c/", /at most one alias or version/],
    ["service://v0.identity/", /alias or version "v0"/],
    ["service://.identity/", /alias or version "": expected a name/],
    ["service://identity./", /service "": expected a name/],
    ["service://identity:80/", /no user, no port/],
    ["service://me@identity/", /no user, no port/],
    ["service://identity\\x/", /no user, no port/],
    ["service://identity\r\n/", /expected a-z, 0-9/],
    ["service://%69dentity/", /expected a-z, 0-9/],
    [`service://${"a".repeat(64)}/`, /at most 63 characters, not 64/],
  ];
  for (const [text, reason] of rows) {
    const parsed = parseAddress(text);
    assert.equal(parsed.kind, "refused", text);
    assert.ok(parsed.kind === "refused" && parsed.reason.startsWith(`Cannot call "${text}": `), text);
    assert.match(parsed.kind === "refused" ? parsed.reason : "", reason);
  }
});

Deno.test("parseAddress() lets through what the grammar of names does, and nothing else", () => {
  const piece = fc.string({ unit: fc.constantFrom(..."ab1-.v/:@?#A\\ é\n"), maxLength: 12 });
  fc.assert(fc.property(piece, (piece) => {
    const parsed = parseAddress(`service://${piece}`);
    if (parsed.kind === "refused") return;
    assert.equal(nameProblem(parsed.service), undefined);
    assert.equal(parsed.qualifier === undefined ? undefined : qualifierProblem(parsed.qualifier), undefined);
    // The rest is what follows the name, with the slash that a path begins with where none was written.
    assert.ok([parsed.rest, parsed.rest.slice(1)].some((rest) => piece.endsWith(parsed.service + rest)), piece);
  }));
});

Deno.test("isServiceUrl() knows the scheme, also when it is badly written", () => {
  assert.deepEqual(["service://a", "Service:a", "service:", "http://service:1"].map(isServiceUrl), [
    true,
    true,
    true,
    false,
  ]);
});

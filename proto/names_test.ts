import assert from "node:assert/strict";
import fc from "fast-check";
import {
  aliasProblem,
  hostProblem,
  MAX_VERSION,
  nameProblem,
  qualifierProblem,
  stickyHeaderProblem,
  versionOfName,
} from "./names.ts";

const letter = fc.constantFrom(..."abcxyz0189");
const inner = fc.string({ unit: fc.constantFrom(..."abcxyz0189-"), maxLength: 61 });
const goodName = fc.oneof(letter, fc.tuple(letter, inner, letter).map((parts) => parts.join("")));
const anything = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.constantFrom(..."aZ0-_. \n\0;/é"), maxLength: 70 }),
);

Deno.test("nameProblem() lets pass what the grammar makes, up to 63 characters", () => {
  fc.assert(fc.property(goodName, (name) => assert.equal(nameProblem(name), undefined)));
  assert.equal(nameProblem("a".repeat(63)), undefined);
  assert.equal(nameProblem("a".repeat(64)), "expected at most 63 characters, not 64");
});

Deno.test("nameProblem() refuses everything else, with the reason", () => {
  fc.assert(fc.property(anything, (text) => {
    const good = text.length >= 1 && text.length <= 63 && [...text].every((one) =>
      "abcdefghijklmnopqrstuvwxyz0123456789-".includes(one)
    ) &&
      !text.startsWith("-") && !text.endsWith("-");
    assert.equal(nameProblem(text) === undefined, good);
  }));
  assert.equal(nameProblem(""), "expected a name, not nothing");
  assert.equal(nameProblem("Identity"), "expected lower case");
  for (const text of ["-a", "a-", "a.b", "a b", "a_b", "a\n", "\na", "ä", "a/b", "a;b", "a\0"]) {
    assert.equal(nameProblem(text), "expected a-z, 0-9 and inner hyphens", JSON.stringify(text));
  }
});

Deno.test("what passes as a name, an alias or a host cannot end a line or begin another word", () => {
  fc.assert(fc.property(anything, (text) => {
    for (const problem of [nameProblem, aliasProblem, hostProblem, stickyHeaderProblem, qualifierProblem]) {
      if (problem(text) === undefined) assert.match(text, /^[a-z0-9.:-]+$/);
    }
  }));
});

Deno.test("versionOfName() reads v and a number from 1, and no alias is of that form", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: MAX_VERSION }), (version) => {
    assert.equal(versionOfName(`v${version}`), version);
    assert.equal(qualifierProblem(`v${version}`), undefined);
    assert.ok(aliasProblem(`v${version}`));
  }));
  for (const text of ["v0", "v01", "v", "V1", "1", "v1 ", "v-1", "v1.0", `v${MAX_VERSION + 1}`, "v99999999999", ""]) {
    assert.equal(versionOfName(text), undefined, text);
  }
  for (const text of ["v0", "v01", `v${MAX_VERSION + 1}`]) assert.ok(qualifierProblem(text), text);
  for (const text of ["live", "canary", "v", "v1a", "vv1"]) assert.equal(aliasProblem(text), undefined, text);
  fc.assert(fc.property(anything, (text) => {
    assert.ok(versionOfName(text) === undefined || aliasProblem(text) !== undefined);
  }));
});

Deno.test("hostProblem() lets pass IP literals and DNS names", () => {
  fc.assert(fc.property(fc.ipV4(), (host) => assert.equal(hostProblem(host) === undefined, host !== "0.0.0.0")));
  fc.assert(fc.property(fc.ipV6(), (host) => {
    const lower = host.toLowerCase();
    assert.equal(hostProblem(lower) === undefined, !/^[0.:]+$/.test(lower), lower);
  }));
  for (
    const host of ["localhost", "db-1.example.com", "127.0.0.1", "::1", "fe80::1", "::ffff:10.0.0.1", "1a.example"]
  ) {
    assert.equal(hostProblem(host), undefined, host);
  }
});

Deno.test("hostProblem() refuses what is no address to call, or another spelling of one", () => {
  const names = ["", "Example.com", "a..b", ".a", "a.", "a_b", "a b", "a\n", "http://a", "a:80", "[::1]", "a/b"];
  const spellings = [
    "1",
    "127.1",
    "0x7f.1",
    "0x7f000001",
    "2130706433",
    "256.1.1.1",
    "1.2.3",
    "01.2.3.4",
    "a.0x",
    "a.1",
  ];
  const unspecified = ["0.0.0.0", "::", "0:0:0:0:0:0:0:0", "::0.0.0.0"];
  for (const host of [...names, ...spellings, ...unspecified, "fe80::1%eth0", "a".repeat(64), `${"a.".repeat(127)}a`]) {
    assert.ok(hostProblem(host), JSON.stringify(host));
  }
  assert.equal(hostProblem(`${"a.".repeat(126)}a`), undefined);
});

Deno.test("stickyHeaderProblem() refuses headers that the proxy, a hop or Portolan sets", () => {
  for (const header of ["x-user", "cookie", "authorization", "a"]) assert.equal(stickyHeaderProblem(header), undefined);
  for (
    const header of ["", "X-User", "x_user", "x-", "host", "te", "content-length", "portolan-flow", "a b", "a\r\nb"]
  ) {
    assert.ok(stickyHeaderProblem(header), JSON.stringify(header));
  }
});

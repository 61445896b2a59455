import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeServiceFile, type ServiceFile } from "./service_file.ts";

const LEAST = { service: "identity", port: 8080 };
const NAME = "web-1.json";

Deno.test("decodeServiceFile() fills in what a file does not say", () => {
  assert.deepEqual(good(LEAST), {
    ...LEAST,
    id: "web-1",
    version: 1,
    weight: 100,
    metadata: {},
    drainMs: 5_000,
  });
  const check = { kind: "HTTP", path: "/", intervalMs: 2_000, rise: 2, fall: 3 };
  assert.deepEqual(good({ ...LEAST, check: { kind: "HTTP" } }).check, check);
  assert.deepEqual(good({ ...LEAST, check: {} }).check, { ...check, kind: "TCP" });
  // As in the contract's JSON.
  assert.deepEqual(good({ ...LEAST, id: null, version: null, check: null, metadata: null }), good(LEAST));
});

Deno.test("decodeServiceFile() takes all that a file may say", () => {
  const file = {
    ...LEAST,
    version: 42,
    id: "i1",
    host: "web.internal",
    weight: 0,
    zone: "a",
    metadata: { team: "ä" },
  };
  const check = { kind: "HTTP", path: "/up?x=1", interval: "500ms", rise: 1, fall: 100 };
  assert.deepEqual(good({ ...file, check, drainTime: "1.5s" }), {
    ...file,
    check: { kind: "HTTP", path: "/up?x=1", intervalMs: 500, rise: 1, fall: 100 },
    drainMs: 1_500,
  });
  assert.equal(good({ ...LEAST, drainTime: "0s" }).drainMs, 0);
  assert.equal(good({ ...LEAST, drainTime: "1h" }).drainMs, 3_600_000);
  assert.equal(good({ ...LEAST, id: "i1" }, "Any Name.json").id, "i1");
  assert.equal(good({ ...LEAST, host: "::1" }).host, "::1");
});

Deno.test("decodeServiceFile() names the field, its value, and what is expected", () => {
  const cases: readonly [said: object, reason: string][] = [
    [{ port: 1 }, '"service" is required, as in {"service":"identity","port":8080}'],
    [{ service: "a" }, '"port" is required, as in {"service":"identity","port":8080}'],
    [{ ...LEAST, service: "Identity" }, '"service" "Identity": expected lower case'],
    [{ ...LEAST, service: 7 }, '"service" 7: expected a text'],
    [{ ...LEAST, port: "8080" }, '"port" "8080": expected a whole number from 1 to 65535'],
    [{ ...LEAST, port: 0 }, '"port" 0: expected a whole number from 1 to 65535'],
    [{ ...LEAST, port: 65_536 }, '"port" 65536: expected a whole number from 1 to 65535'],
    [{ ...LEAST, port: 80.5 }, '"port" 80.5: expected a whole number from 1 to 65535'],
    [{ ...LEAST, version: 0 }, '"version" 0: expected a whole number from 1 to 4294967295'],
    [{ ...LEAST, weight: 257 }, '"weight" 257: expected a whole number from 0 to 256'],
    [{ ...LEAST, weight: true }, '"weight" true: expected a whole number from 0 to 256'],
    [{ ...LEAST, id: "" }, '"id" "": expected a name, not nothing'],
    [{ ...LEAST, zone: "-" }, '"zone" "-": expected a-z, 0-9 and inner hyphens'],
    [{ ...LEAST, host: "1.2.3" }, '"host" "1.2.3": expected an IP address of four numbers below 256'],
    [{ ...LEAST, metadata: { a: 1 } }, '"metadata" {"a"}: expected a text under "a"'],
    [{ ...LEAST, metadata: [] }, '"metadata" […]: expected an object'],
    [{ ...LEAST, check: "TCP" }, '"check" "TCP": expected an object'],
    [{ ...LEAST, check: { kind: "http" } }, '"check.kind" "http": expected one of TCP, HTTP, GRPC'],
    [{ ...LEAST, check: { fall: 0 } }, '"check.fall" 0: expected a whole number from 1 to 100'],
    [
      { ...LEAST, check: { timeout: 1 } },
      '"check.timeout" 1: unknown field, expected one of kind, path, interval, rise, fall',
    ],
    [{ ...LEAST, check: { path: "/" } }, '"check.path" "/": expected with "kind":"HTTP" only, not with TCP'],
    [
      { ...LEAST, check: { kind: "HTTP", path: "up" } },
      '"check.path" "up": expected a slash and at most 1024 visible ASCII characters',
    ],
    [
      { ...LEAST, check: { interval: "99ms" } },
      '"check.interval" "99ms": expected a duration from 100ms to 1h, as in "2s" or "500ms"',
    ],
    [{ ...LEAST, drainTime: 5 }, '"drainTime" 5: expected a duration from 0ms to 1h, as in "2s" or "500ms"'],
    [{ ...LEAST, drainTime: "61m" }, '"drainTime" "61m": expected a duration from 0ms to 1h, as in "2s" or "500ms"'],
  ];
  for (const [said, reason] of cases) assert.equal(reasonOf(JSON.stringify(said)), reason);
  assert.match(
    reasonOf('{"service":"a","port":1,"__proto__":{}}'),
    /^"__proto__" {}: unknown field, expected one of service, /,
  );
  assert.equal(
    reasonOf(JSON.stringify({ service: "", port: 0, metadata: { k: "x".repeat(4_096) } })),
    '"service" "": expected a name, not nothing; "port" 0: expected a whole number from 1 to 65535; ' +
      '"metadata" {"k"}: expected keys and values of at most 4096 bytes together, not 4097',
  );
});

Deno.test("decodeServiceFile() says what is wrong with a file as a whole, and with its name", () => {
  assert.match(reasonOf(""), /^expected JSON, as in {"service":"identity","port":8080}: /);
  assert.match(reasonOf('{"service":"identity",'), /^expected JSON, /);
  assert.equal(reasonOf("[1]"), '[…]: expected an object, as in {"service":"identity","port":8080}');
  assert.equal(reasonOf("null"), 'null: expected an object, as in {"service":"identity","port":8080}');
  const [latin, large] = [new Uint8Array([0x22, 0xe4, 0x22]), new Uint8Array(64 * 1_024 + 1)];
  assert.match(reasonOf(latin), /: it is not UTF-8$/);
  assert.equal(reasonOf(large), "expected at most 65536 bytes");
  assert.equal(
    reasonOf(JSON.stringify(LEAST), "My_App.json"),
    '"id" is not there, and the file\'s name gives "My_App": expected lower case',
  );
  const long = reasonOf(JSON.stringify({ ...LEAST, service: "x".repeat(60_000) }));
  assert.match(long, /^"service" "x{79}…: expected at most 63 characters, not 60000$/);
});

Deno.test("decodeServiceFile() answers whatever it is given", () => {
  const value = fc.jsonValue();
  const fields = fc.constantFrom("service", "id", "port", "host", "metadata", "check", "drainTime", "zone", "other");
  const bytes = fc.oneof(
    fc.uint8Array(),
    fc.dictionary(fields, value).map((said) => encode(JSON.stringify({ ...LEAST, ...said }))),
    fc.constantFrom("[", '{"a":').map((open) => encode(open.repeat(10_000))),
    fc.constant(encode(`{"service":${"[".repeat(20_000)}${"]".repeat(20_000)},"port":1}`)),
  );
  fc.assert(fc.property(bytes, (bytes) => {
    const decoded = decodeServiceFile(NAME, bytes);
    if (decoded.kind === "bad") assert.ok(decoded.reason.length > 0 && decoded.reason.length < 10_000);
  }));
});

function good(said: object, name = NAME): ServiceFile {
  const decoded = decodeServiceFile(name, encode(JSON.stringify(said)));
  assert.ok(decoded.kind === "file", JSON.stringify(decoded));
  return decoded.file;
}

function reasonOf(content: string | Uint8Array, name = NAME): string {
  const decoded = decodeServiceFile(name, typeof content === "string" ? encode(content) : content);
  assert.ok(decoded.kind === "bad", "it is good");
  return decoded.reason;
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

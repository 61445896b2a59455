import assert from "node:assert/strict";
import { Problem } from "../proto/settings.ts";
import { AT, duration, writeOptions } from "./flags.ts";

const at = (text: string) => AT.at.parse(text);

Deno.test("--at takes a revision from 1 or a time of RFC 3339", () => {
  assert.deepEqual(at("42"), { atRevision: 42n });
  const seconds = BigInt(Date.UTC(2026, 10, 21, 12) / 1000);
  assert.deepEqual(at("2026-11-21T12:00:00Z"), { atTime: { seconds, nanos: 0 } });
  assert.deepEqual(at("2026-11-21T13:00:00.25+01:00"), { atTime: { seconds, nanos: 250_000_000 } });
  assert.deepEqual(at("1969-12-31T23:59:59.75Z"), { atTime: { seconds: -1n, nanos: 750_000_000 } });
  const times = ["2026-11-21", "2026-11-21T12:00:00", "2026-02-30T00:00:00Z", "2026-11-21T24:00:00Z"];
  for (const text of ["0", "", "-1", "yesterday", ...times]) {
    assert.ok(at(text) instanceof Problem, text);
  }
});

Deno.test("durations are a number and a unit", () => {
  assert.deepEqual(duration("1.5s"), { seconds: 1n, nanos: 500_000_000 });
  assert.deepEqual(duration("200ms"), { seconds: 0n, nanos: 200_000_000 });
  assert.deepEqual(duration("1.5m"), { seconds: 90n, nanos: 0 });
  assert.deepEqual(duration("24h"), { seconds: 86_400n, nanos: 0 });
  assert.deepEqual(duration("999999999.999999999s"), { seconds: 999_999_999n, nanos: 999_999_999 });
  for (const text of ["", "15", "s", "-1s", "1d", "1 s", "1.s"]) assert.ok(duration(text) instanceof Problem, text);
});

Deno.test("writeOptions() leaves out an expected revision that nobody named, and keeps 0", () => {
  const said = { reason: "", operationId: "x" };
  assert.deepEqual(writeOptions(said), said);
  assert.deepEqual(writeOptions({ ...said, ifRevision: 0n }), { ...said, expectedRevision: 0n });
});

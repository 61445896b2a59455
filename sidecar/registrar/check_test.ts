import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { Check_Kind, CheckSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { DEFAULT_CHECK } from "../../proto/limits.ts";
import { checkOf, type CheckStatus, judge, timeLimit, UNCHECKED } from "./check.ts";

Deno.test("judge() lets the first result decide, then asks for as many in a row as it takes", () => {
  const cases: readonly [results: string, status: CheckStatus][] = [
    ["", "unknown"],
    ["+", "passing"],
    ["-", "failing"],
    ["+--", "passing"],
    ["+---", "failing"],
    ["+--+--", "passing"],
    ["-+", "failing"],
    ["-++", "passing"],
    ["-+-+", "failing"],
    ["+---++--", "passing"],
  ];
  for (const [results, status] of cases) assert.equal(after(results, { rise: 2, fall: 3 }).status, status, results);
});

Deno.test("judge() goes over exactly where the last results, as many as it takes, all speak against the status", () => {
  const times = fc.integer({ min: 1, max: 5 });
  fc.assert(fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 60 }), times, times, (passed, rise, fall) => {
    let expected = passed[0] ? "passing" : "failing";
    let since = 0;
    passed.forEach((_, at) => {
      const against = expected === "passing" ? fall : rise;
      const last = passed.slice(Math.max(since, at + 1 - against), at + 1);
      if (last.length < against || last.some((one) => one === (expected === "passing"))) return;
      expected = expected === "passing" ? "failing" : "passing";
      since = at + 1;
    });
    assert.equal(after(passed.map((one) => one ? "+" : "-").join(""), { rise, fall }).status, expected);
  }));
});

Deno.test("a service's check has defaults for what it does not say; a check takes no longer than 5 s", () => {
  assert.deepEqual(checkOf(create(CheckSchema)), DEFAULT_CHECK);
  const said = { kind: Check_Kind.HTTP, path: "/up", interval: durationFromMs(1_500), rise: 1, fall: 9 };
  const check = checkOf(create(CheckSchema, said));
  assert.deepEqual(check, { kind: "HTTP", path: "/up", intervalMs: 1_500, rise: 1, fall: 9 });
  assert.equal(checkOf(create(CheckSchema, { kind: Check_Kind.GRPC })).kind, "GRPC");
  assert.deepEqual([timeLimit(check), timeLimit({ ...check, intervalMs: 60_000 })], [1_500, 5_000]);
});

function after(results: string, check: { readonly rise: number; readonly fall: number }) {
  return [...results].reduce((health, one) => judge(health, one === "+", check), UNCHECKED);
}

import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Invalid } from "../domain/names.ts";
import { isRefusal } from "../domain/refusal.ts";
import { ScopeSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { GetMapRequestSchema } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { WriteOptionsSchema } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { formatPosition } from "../../proto/position.ts";
import { millisOf, optionsOf, parsePosition, positionOf, refuseUnknown, scopeOf } from "./decode.ts";
import { Violations } from "./violations.ts";

function fieldsOf(outcome: object): string[] {
  assert.ok(isRefusal(outcome));
  return outcome.violations.map(({ field }) => field);
}

/** Options as they are read, or the fields that are wrong with them. */
function options(said?: MessageInitShape<typeof WriteOptionsSchema>, one = true) {
  const fields = new Violations();
  const read = optionsOf(fields, said && create(WriteOptionsSchema, said), one);
  const refusal = fields.refusal();
  return refusal ? fieldsOf(refusal) : read;
}

Deno.test("optionsOf() reads reason, condition and operation; a condition is about one resource", () => {
  assert.deepEqual(options(), { reason: "" });
  assert.deepEqual(options({ reason: "why", expectedRevision: 0n, operationId: "A-z_0.9" }), {
    reason: "why",
    expected: 0n,
    operationId: "A-z_0.9",
  });
  assert.deepEqual(options({ reason: "é".repeat(512) }), { reason: "é".repeat(512) });
  assert.deepEqual(options({ reason: `${"é".repeat(512)}!` }), ["reason"]);
  for (const operationId of ["a b", "é", "a/b", "a".repeat(65), "\n"]) {
    assert.deepEqual(options({ operationId }), ["operationId"]);
  }
  assert.deepEqual(options({ operationId: "a".repeat(64) }), { reason: "", operationId: "a".repeat(64) });
  assert.deepEqual(options({ expectedRevision: 2n ** 63n }), ["expectedRevision"]);
  assert.deepEqual(options({ expectedRevision: 1n }, false), ["expectedRevision"]);
});

Deno.test("millisOf() takes whole ms that a number holds", () => {
  assert.equal(millisOf({ seconds: 1n, nanos: 5_000_000 }), 1_005);
  assert.equal(millisOf({ seconds: -1n, nanos: -500_000_000 }), -1_500);
  assert.equal(millisOf({ seconds: 0n, nanos: 1 }), undefined);
  assert.equal(millisOf({ seconds: 2n ** 63n - 1n, nanos: 0 }), undefined);
});

Deno.test("refuseUnknown() names what it does not know by its number", () => {
  const $unknown = [{ no: 9, wireType: 0, data: new Uint8Array() }];
  const request = create(GetMapRequestSchema, { scope: { realm: "local" } });
  assert.equal(refuseUnknown(request), undefined);
  Object.assign(request.scope!, { $unknown });
  assert.deepEqual(fieldsOf(refuseUnknown(request)!), ["scope.9"]);
});

Deno.test("scopeOf() takes no services for all of them", () => {
  assert.deepEqual(scopeOf(create(ScopeSchema, { realm: "local" })), { realm: "local" });
  const services = ["a", "b", "a"];
  assert.deepEqual(scopeOf(create(ScopeSchema, { realm: "local", services })), {
    realm: "local",
    services: new Set(["a", "b"]),
  });
  assert.deepEqual(fieldsOf(scopeOf(create(ScopeSchema, { realm: "L", services: ["a", ""] }))), [
    "realm",
    "services[1]",
  ]);
  assert.deepEqual(fieldsOf(scopeOf(undefined)), ["scope", "realm"]);
});

Deno.test("positions are read as they are written", () => {
  const current = positionOf({ $typeName: "portolan.v1.Position", epoch: 7n, revision: 9n });
  assert.ok(!isRefusal(current));
  const most = 2n ** 63n - 1n;
  for (
    const [text, epoch, revision] of [
      ["7.9", 7n, 9n],
      ["9", 7n, 9n],
      ["0", 7n, 0n],
      ["007.09", 7n, 9n],
      [`${most}.${most}`, most, most],
    ] as const
  ) {
    const parsed = parsePosition(text, current);
    assert.deepEqual(parsed, { epoch, revision });
    assert.deepEqual(parsePosition(formatPosition(parsed as typeof current), current), parsed);
  }
  for (const text of ["", ".", "1.", ".1", "-1", "1.2.3", "0.1", " 1", "1\n", "x", `${most + 1n}`, `1.${most + 1n}`]) {
    assert.ok(parsePosition(text, current) instanceof Invalid, text);
  }
});

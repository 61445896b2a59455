import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { status } from "@grpc/grpc-js";
import { invalid, type RefusalCode, refuse } from "../domain/refusal.ts";
import { BadRequestSchema } from "../../proto/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../proto/gen/google/rpc/status_pb.ts";
import { grpcStatus, INTERNAL, problem } from "./status.ts";

const TABLE: Record<RefusalCode, [grpc: keyof typeof status, http: number]> = {
  invalid: ["INVALID_ARGUMENT", 400],
  not_found: ["NOT_FOUND", 404],
  too_large: ["RESOURCE_EXHAUSTED", 413],
  moved: ["FAILED_PRECONDITION", 412],
  in_use: ["FAILED_PRECONDITION", 409],
  forgotten: ["OUT_OF_RANGE", 410],
  too_many: ["RESOURCE_EXHAUSTED", 429],
  conflict: ["ABORTED", 409],
  unavailable: ["UNAVAILABLE", 503],
  unknown: ["UNKNOWN", 500],
};

const detailsOf = (metadata: ReturnType<typeof grpcStatus>["metadata"]) => metadata.get("grpc-status-details-bin");

Deno.test("a refusal is called the same on both transports", () => {
  for (const [code, [name, http]] of Object.entries(TABLE)) {
    const refusal = refuse(code as RefusalCode, "Cannot: because");
    const overGrpc = grpcStatus(refusal);
    assert.deepEqual([overGrpc.code, overGrpc.details], [status[name], "Cannot: because"]);
    assert.deepEqual(detailsOf(overGrpc.metadata), []);
    const overHttp = problem(refusal);
    assert.equal(overHttp.status, http);
    const { title, ...body } = overHttp;
    assert.ok(title);
    assert.deepEqual(body, {
      type: "about:blank",
      status: http,
      detail: "Cannot: because",
      code: name,
      violations: [],
    });
  }
});

Deno.test("fields that are wrong travel as google.rpc.BadRequest, beside the status that they are of", () => {
  const violations = [{ field: "split[0].share", description: "expected é" }, {
    field: "host",
    description: "is required",
  }];
  const refusal = invalid(violations);
  assert.equal(refusal.message, "split[0].share: expected é; host: is required");
  assert.deepEqual(problem(refusal)["violations"], violations);
  const [bytes] = detailsOf(grpcStatus(refusal).metadata);
  const { code, message, details } = fromBinary(StatusSchema, bytes as Buffer);
  assert.deepEqual([code, message], [status.INVALID_ARGUMENT, refusal.message]);
  const badRequest = anyUnpack(details[0]!, BadRequestSchema);
  assert.deepEqual(badRequest?.fieldViolations.map(({ field, description }) => ({ field, description })), violations);
});

Deno.test("however many fields are wrong, a refusal fits into the headers that clients take", () => {
  const violations = Array.from(
    { length: 30_000 },
    (_, i) => ({ field: `services[${i}]`, description: "x".repeat(60) }),
  );
  const refusal = invalid(violations);
  assert.match(refusal.message, /and 29984 more$/);
  const { details, metadata } = grpcStatus(refusal);
  const [bytes] = detailsOf(metadata);
  assert.ok(encodeURI(details).length + (bytes as Buffer).toString("base64").length < 8_000);
});

Deno.test("a bug says nothing of itself", () => {
  const { status: http, code, violations } = problem(INTERNAL);
  assert.deepEqual([http, code, violations], [500, "INTERNAL", []]);
});

/** One table of what each failure is called: on gRPC, over HTTP, in a problem's `code`. */
import { anyPack } from "@bufbuild/protobuf/wkt";
import { create } from "@bufbuild/protobuf";
import { Metadata, status, type StatusObject } from "@grpc/grpc-js";
import type { RefusalCode, Violation } from "../domain/refusal.ts";
import { encode } from "../../proto/grpc.ts";
import { BadRequestSchema } from "../../proto/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../proto/gen/google/rpc/status_pb.ts";

/** A refusal, or an end that only a transport knows. */
export interface Failure {
  readonly code: RefusalCode | "internal" | "late" | "method";
  readonly message: string;
  readonly violations?: readonly Violation[];
}

/** What a bug looks like from outside: its cause is logged, not sent. */
export const INTERNAL: Failure = {
  code: "internal",
  message: "The control plane failed to answer: its log says why",
};

const TABLE: Readonly<Record<Failure["code"], { grpc: status; http: number; title: string }>> = {
  invalid: { grpc: status.INVALID_ARGUMENT, http: 400, title: "Invalid request" },
  not_found: { grpc: status.NOT_FOUND, http: 404, title: "Not found" },
  too_large: { grpc: status.RESOURCE_EXHAUSTED, http: 413, title: "Too large" },
  moved: { grpc: status.FAILED_PRECONDITION, http: 412, title: "Precondition failed" },
  in_use: { grpc: status.FAILED_PRECONDITION, http: 409, title: "Conflict" },
  forgotten: { grpc: status.OUT_OF_RANGE, http: 410, title: "Gone" },
  too_many: { grpc: status.RESOURCE_EXHAUSTED, http: 429, title: "Too many requests" },
  conflict: { grpc: status.ABORTED, http: 409, title: "Conflict" },
  unavailable: { grpc: status.UNAVAILABLE, http: 503, title: "Unavailable" },
  unknown: { grpc: status.UNKNOWN, http: 500, title: "Outcome unknown" },
  internal: { grpc: status.INTERNAL, http: 500, title: "Internal error" },
  late: { grpc: status.DEADLINE_EXCEEDED, http: 408, title: "Request timeout" },
  method: { grpc: status.UNIMPLEMENTED, http: 405, title: "Method not allowed" },
};

/** A failure as the end of a gRPC call; fields that are not what they should be as `google.rpc.BadRequest`. */
export function grpcStatus({ code, message, violations = [] }: Failure): StatusObject {
  const metadata = new Metadata();
  if (violations.length > 0) {
    const details = [anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations: [...violations] }))];
    const rich = create(StatusSchema, { code: TABLE[code].grpc, message, details });
    metadata.set("grpc-status-details-bin", encode(StatusSchema, rich));
  }
  return { code: TABLE[code].grpc, details: message, metadata };
}

/** A failure as RFC 9457 has it, with the gRPC name of its code. */
export function problem({ code, message, violations = [] }: Failure): { status: number; [member: string]: unknown } {
  const { grpc, http, title } = TABLE[code];
  return { type: "about:blank", title, status: http, detail: message, code: status[grpc], violations };
}

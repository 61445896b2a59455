import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type ServiceError, status } from "@grpc/grpc-js";
import { BadRequestSchema } from "../proto/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../proto/gen/google/rpc/status_pb.ts";
import { EXIT, type Exit, Failure } from "./command.ts";

/** What to do about a code, where a command knows better than {@link failureOf}: the end of its sentence. */
export type Hints = { readonly [code in status]?: string };

/** What a call's end means for whoever gave the command; `what` follows "Cannot". */
export function failureOf(error: unknown, what: string, address: string, hints: Hints = {}): Failure {
  const { code, details } = error as Partial<ServiceError>;
  if (code === undefined) throw error;
  if (isForeign(details ?? "")) {
    const what = `what listens at ${address} does not speak gRPC: is it the control plane's port for HTTP?`;
    return new Failure(EXIT.unreachable, `Cannot reach the control plane: ${what}`, { cause: error });
  }
  const said = violationsOf(error as ServiceError) ?? (details || `the control plane answered ${status[code]}`);
  const text = said.startsWith("Cannot ") ? said : `Cannot ${what}: ${said}`;
  return new Failure(exitOf(code), text + (hints[code] ?? hint(code, address)), { cause: error });
}

/**
 * Whether it was no control plane that answered: the first bytes of another protocol are taken for the length of a message,
 * or end the connection at once.
 */
function isForeign(details: string): boolean {
  return /^Received message larger than max \([0-9]{9,} /.test(details) || /write after end/.test(details);
}

/** What is wrong with which field, out of the details that gRPC carries beside its sentence. */
function violationsOf({ metadata }: ServiceError): string | undefined {
  const bytes = metadata?.get("grpc-status-details-bin")[0];
  if (!bytes || typeof bytes === "string") return undefined;
  try {
    const violations = fromBinary(StatusSchema, bytes).details
      .flatMap((detail) => anyUnpack(detail, BadRequestSchema)?.fieldViolations ?? [])
      .map(({ field, description }) => `${FLAGS[field] ?? field}: ${description}`);
    return violations.length > 0 ? violations.join("; ") : undefined;
  } catch {
    // Whatever else these bytes are, the sentence beside them stands.
    return undefined;
  }
}

/** Fields that go by another name here. */
const FLAGS: Readonly<Record<string, string>> = {
  expectedRevision: "--if-revision",
  operationId: "--operation-id",
  leaseId: "--lease-id",
  atRevision: "--at",
  atTime: "--at",
  "services[0]": "SERVICE",
};

function exitOf(code: status): Exit {
  return code === status.UNAVAILABLE || code === status.DEADLINE_EXCEEDED ? EXIT.unreachable : EXIT.refused;
}

function hint(code: status, address: string): string {
  switch (code) {
    case status.NOT_FOUND:
      return "; ./portolan services and ./portolan show SERVICE list what there is";
    case status.UNAVAILABLE:
      return "; try again";
    case status.DEADLINE_EXCEEDED:
    case status.UNKNOWN:
      return "; it may have been done, so look before you try again";
    case status.UNIMPLEMENTED:
      return `; the control plane at ${address} is of another version`;
    default:
      return "";
  }
}

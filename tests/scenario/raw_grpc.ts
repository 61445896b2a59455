/** Calls over gRPC with bytes as they are, to say what no generated client would, and to read all of what is answered. */
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { BadRequestSchema } from "../../proto/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../proto/gen/google/rpc/status_pb.ts";

/** How a call ended. */
export interface Ended {
  /** The name of its status: `OK`, `NOT_FOUND`, … */
  readonly code: string;
  readonly details: string;
  /** The fields that a `google.rpc.BadRequest` in its details names. */
  readonly fields: readonly string[];
  readonly responses: readonly Uint8Array[];
}

export interface RawClient extends Disposable {
  /** Sends the messages, says that there are no more, and waits for the end. A unary call is one message. */
  call(path: string, ...messages: readonly Uint8Array[]): Promise<Ended>;
}

export function rawClient(address: string): RawClient {
  // The channel closes when idle: see the client of the contract.
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), { "grpc.client_idle_timeout_ms": 1_000 });
  const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes);
  return {
    call(path, ...messages) {
      const call = client.makeBidiStreamRequest(path, asBuffer, (bytes) => bytes);
      const responses: Uint8Array[] = [];
      call.on("data", (response) => responses.push(response));
      // Whatever it is, the status says it too.
      call.on("error", () => {});
      const ended = new Promise<Ended>((resolve) => {
        call.once("status", (status: grpc.StatusObject) => resolve({ ...endOf(status), responses }));
      });
      for (const message of messages) call.write(message);
      call.end();
      return ended;
    },
    [Symbol.dispose]: () => client.close(),
  };
}

function endOf({ code, details, metadata }: grpc.StatusObject): Omit<Ended, "responses"> {
  const [rich] = metadata.get("grpc-status-details-bin");
  const fields = rich === undefined ? [] : fieldsOf(rich as Buffer, code, details);
  return { code: grpc.status[code] as string, details, fields };
}

function fieldsOf(rich: Buffer, code: number, details: string): string[] {
  const status = fromBinary(StatusSchema, rich);
  if (status.code !== code || status.message !== details) throw new Error(`The details tell of another end: ${status}`);
  return status.details.flatMap((detail) => {
    const badRequest = anyUnpack(detail, BadRequestSchema);
    return (badRequest?.fieldViolations ?? []).map(({ field }) => field);
  });
}

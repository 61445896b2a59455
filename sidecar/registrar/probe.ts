/** One check of one instance. */
import { request } from "node:http";
import { type ServiceError, status as code } from "@grpc/grpc-js";
import { Health, HealthCheckResponse_ServingStatus as Serving } from "../../proto/gen/grpc/health/v1/health_pb.ts";
import { createClient } from "../../proto/grpc.ts";
import { type Address, formatAddress } from "../../proto/settings.ts";
import { VERSION } from "../../proto/version.ts";
import { reasonOf } from "../../sdk-ts/reason.ts";
import { type Check, type CheckKind, timeLimit } from "./check.ts";

/** Answers `undefined` if the instance works, else why not. Over a connection of its own, past all proxies. */
export async function probe(check: Check, target: Address, signal: AbortSignal): Promise<string | undefined> {
  const limitMs = timeLimit(check);
  const late = AbortSignal.timeout(limitMs);
  try {
    return await PROBES[check.kind]({ target, path: check.path, limitMs, signal: AbortSignal.any([late, signal]) });
  } catch (error) {
    // A gRPC call may be late a moment before its signal is.
    const isLate = late.aborted || (error as Partial<ServiceError>).code === code.DEADLINE_EXCEEDED;
    return isLate ? `no answer within ${limitMs} ms` : reasonOf(error);
  }
}

interface Asked {
  readonly target: Address;
  readonly path: string;
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

const PROBES: Readonly<Record<CheckKind, (asked: Asked) => Promise<string | undefined>>> = {
  async TCP({ target, signal }) {
    (await Deno.connect({ hostname: target.host, port: target.port, signal })).close();
    return undefined;
  },

  HTTP({ target: { host, port }, path, signal }) {
    return new Promise((resolve, reject) => {
      const headers = { "connection": "close", "user-agent": `portolan-sidecar/${VERSION}` };
      const asking = request({ host, port, path, headers, agent: false, signal }, (response) => {
        const { statusCode = 0 } = response;
        resolve(statusCode >= 200 && statusCode <= 399 ? undefined : `status ${statusCode} of GET ${path}`);
        // Nobody reads on.
        asking.destroy();
      });
      asking.on("error", reject);
      asking.end();
    });
  },

  async GRPC({ target, limitMs, signal }) {
    // A connection that is kept would be slow to come back.
    const client = createClient(Health, formatAddress(target), {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_http_proxy": 0,
    });
    try {
      const { status } = await client.check({}, { timeoutMs: limitMs, signal });
      return status === Serving.SERVING ? undefined : `grpc.health.v1 says ${Serving[status] ?? status}`;
    } finally {
      client.close();
    }
  },
};

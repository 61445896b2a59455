/** Calls of one address, counted from their first byte to their end: one that opens a stream and says nothing counts too. */
import * as grpc from "@grpc/grpc-js";
import { isRefusal } from "../domain/refusal.ts";
import type { Ports } from "./ports.ts";
import { grpcStatus } from "./status.ts";
import { peerOf } from "./grpc_calls.ts";
import { Place } from "./grpc_place.ts";

/** Streams that stand until somebody ends them. */
const STANDING: ReadonlySet<string> = new Set([
  "/portolan.v1.DiscoveryService/Watch",
  "/portolan.v1.RegistryService/Renew",
  "/grpc.health.v1.Health/Watch",
]);

/** Gives each call a place among the requests or the watches of its address, and refuses it where there is none. */
export function counted({ requests, watches, telemetry }: Ports): grpc.ServerInterceptor {
  return ({ path }, call) => {
    const place = (STANDING.has(path) ? watches : requests).take(peerOf(call));
    if (!isRefusal(place)) {
      const taken = new Place(place);
      const listener: grpc.ServerListener = {
        onReceiveMetadata: (metadata, next) => {
          taken.begin(metadata);
          next(metadata);
        },
        onCancel: () => taken.end(),
      };
      return new grpc.ServerInterceptingCall(call, { start: (next) => next(listener) });
    }
    telemetry.begin("grpc", path.slice(1), { header: () => undefined }).answered("RESOURCE_EXHAUSTED");
    // Nothing is read of it.
    return new grpc.ServerInterceptingCall(call, { start: () => call.sendStatus(grpcStatus(place)) });
  };
}

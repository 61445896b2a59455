/** The contract over gRPC: services of `portolan.v1`, health and reflection. */
import * as grpc from "@grpc/grpc-js";
import { anonymous } from "../app/caller.ts";
import type { Operations } from "../app/operations.ts";
import { Invalid, parseRealm, parseRevision } from "../domain/names.ts";
import { invalid, isRefusal, type Refusal, refuse } from "../domain/refusal.ts";
import type { Log } from "../../proto/log.ts";
import { type Address, formatAddress } from "../../proto/settings.ts";
import { serviceDefinition, Undecodable } from "../../proto/grpc.ts";
import { DiscoveryService, type GetMapRequest } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { FleetService, type ListFollowersRequest } from "../../proto/gen/portolan/v1/fleet_pb.ts";
import { RegistryService } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { encodeUpdate } from "./encode.ts";
import { followersResponse } from "./fleet.ts";
import { type Ports, STOP_MS } from "./ports.ts";
import { grpcStatus, INTERNAL } from "./status.ts";
import { addHealthAndReflection } from "./introspection.ts";
import { WatchSession } from "./watch.ts";
import {
  deregisterOrder,
  MAX_REQUEST_BYTES,
  type Order,
  putAliasOrder,
  refuseUnknown,
  registerOrder,
  scopeOf,
  setEnabledOrder,
} from "./decode.ts";

/** A server that listens. Disposing ends watches with UNAVAILABLE and lets other calls finish. */
export interface GrpcServer extends AsyncDisposable {
  readonly address: Address;
}

// A stopped client is noticed within these, in ms: it would hold its watch for hours otherwise.
const KEEPALIVE = { "grpc.keepalive_time_ms": 10_000, "grpc.keepalive_timeout_ms": 5_000 };

export async function serveGrpc(ports: Ports, address: Address): Promise<GrpcServer> {
  const server = new grpc.Server({
    ...KEEPALIVE,
    "grpc.max_receive_message_length": MAX_REQUEST_BYTES,
    "grpc-node.max_session_memory": Number.MAX_SAFE_INTEGER,
  });
  const watches = new Set<WatchSession>();
  server.addService(serviceDefinition(DiscoveryService), discoveryHandlers(ports, watches));
  server.addService(serviceDefinition(RegistryService), registryHandlers(ports));
  server.addService(serviceDefinition(FleetService), fleetHandlers(ports));
  const health = addHealthAndReflection(server, [DiscoveryService, FleetService, RegistryService]);

  const port = await bind(server, address);
  return {
    address: { host: address.host, port },
    async [Symbol.asyncDispose]() {
      health.stopping();
      for (const watch of watches) watch.stop();
      const late = setTimeout(() => server.forceShutdown(), STOP_MS);
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      clearTimeout(late);
    },
  };
}

function bind(server: grpc.Server, address: Address): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(formatAddress(address), grpc.ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(new Error(`Cannot listen on ${formatAddress(address)} for gRPC: ${error.message}`));
      else resolve(port);
    });
  });
}

function discoveryHandlers(ports: Ports, watches: Set<WatchSession>): grpc.UntypedServiceImplementation {
  return {
    getMap: async (call: grpc.ServerWritableStream<GetMapRequest | Undecodable, Buffer>) => {
      try {
        const update = await readMap(ports.operations, call.request, cancelled(call));
        if (isRefusal(update)) {
          call.emit("error", grpcStatus(update));
        } else {
          for (const part of encodeUpdate(update, 0)) call.write(part);
          call.end();
        }
      } catch (error) {
        if (!call.cancelled) call.emit("error", internal(ports.log, error));
      }
    },
    watch: (call: ConstructorParameters<typeof WatchSession>[0]) => {
      const session = new WatchSession(call, ports);
      watches.add(session);
      call.once("close", () => watches.delete(session));
      call.once("cancelled", () => watches.delete(session));
    },
  };
}

function readMap(operations: Operations, request: GetMapRequest | Undecodable, signal: AbortSignal) {
  if (request instanceof Undecodable) return refuse("invalid", request.description);
  const scope = refuseUnknown(request) ?? scopeOf(request.scope);
  const minRevision = parseRevision(request.minRevision);
  if (isRefusal(scope)) return scope;
  if (minRevision instanceof Invalid) return invalid([{ field: "minRevision", description: minRevision.problem }]);
  return operations.read(anonymous(signal), scope, minRevision);
}

function registryHandlers(ports: Ports): grpc.UntypedServiceImplementation {
  const write = <Request>(orderOf: (request: Request) => Order | Refusal) =>
    unary<Request>(ports.log, async (request, signal) => {
      const order = orderOf(request);
      if (isRefusal(order)) return order;
      const outcome = await ports.operations.execute(anonymous(signal, order.reason), order.command);
      return isRefusal(outcome) ? outcome : { revision: outcome.revision };
    });
  return {
    register: write(registerOrder),
    deregister: write(deregisterOrder),
    setEnabled: write(setEnabledOrder),
    putAlias: write(putAliasOrder),
  };
}

function fleetHandlers({ operations, followers, log }: Ports): grpc.UntypedServiceImplementation {
  return {
    listFollowers: unary<ListFollowersRequest>(log, (request) => {
      const unknown = refuseUnknown(request);
      if (unknown) return unknown;
      const realm = parseRealm(request.realm);
      if (realm instanceof Invalid) return invalid([{ field: "realm", description: realm.problem }]);
      return followersResponse(operations.position(), followers.list(realm));
    }),
  };
}

type Answer = object | Refusal;

function unary<Request>(log: Log, answer: (request: Request, signal: AbortSignal) => Answer | Promise<Answer>) {
  return async (call: grpc.ServerUnaryCall<Request | Undecodable, object>, callback: grpc.sendUnaryData<object>) => {
    try {
      const { request } = call;
      const value = request instanceof Undecodable
        ? refuse("invalid", request.description)
        : await answer(request, cancelled(call));
      if (isRefusal(value)) callback(grpcStatus(value));
      else callback(null, value);
    } catch (error) {
      // Nobody hears the answer to a call that its client gave up.
      if (!call.cancelled) callback(internal(log, error));
    }
  };
}

function cancelled(call: { cancelled: boolean; on(event: "cancelled", f: () => void): unknown }): AbortSignal {
  const controller = new AbortController();
  if (call.cancelled) controller.abort();
  call.on("cancelled", () => controller.abort());
  return controller.signal;
}

function internal(log: Log, error: unknown): grpc.StatusObject {
  log.error("Cannot answer a gRPC call", { error, stack: (error as Error).stack });
  return grpcStatus(INTERNAL);
}

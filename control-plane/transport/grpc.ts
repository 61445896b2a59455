/** The contract over gRPC: services of `portolan.v1`, health and reflection. */
import * as grpc from "@grpc/grpc-js";
import type { Address } from "../../proto/settings.ts";
import { sleep } from "../../proto/sleep.ts";
import { serviceDefinition } from "../../proto/grpc.ts";
import { DiscoveryService } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { FleetService } from "../../proto/gen/portolan/v1/fleet_pb.ts";
import { RegistryService } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { MAX_REQUEST_BYTES } from "./decode.ts";
import { counted } from "./grpc_counted.ts";
import { discoveryHandlers } from "./grpc_discovery.ts";
import { fleetHandlers } from "./grpc_fleet.ts";
import { listen } from "./grpc_listen.ts";
import { registryHandlers } from "./grpc_registry.ts";
import { addHealthAndReflection } from "./grpc_introspection.ts";
import { measuredGrpc } from "./measured.ts";
import { type Ports, type Standing, STOP_MS } from "./ports.ts";
import { Room } from "./room.ts";

/** A server that listens. Disposing ends watches and renewals with UNAVAILABLE and lets other calls finish. */
export interface GrpcServer extends AsyncDisposable {
  readonly address: Address;
}

// A stopped client is noticed within these, in ms: it would hold its watch for hours otherwise.
const KEEPALIVE = { "grpc.keepalive_time_ms": 10_000, "grpc.keepalive_timeout_ms": 5_000 };

/**
 * Of one connection. What an address may have is bounded by quotas, which say so, while streams beyond this wait unheard:
 * it is more than any program needs. A flood of streams would keep all others waiting: each takes some time to be refused.
 */
const MOST_STREAMS = 5_000;

export async function serveGrpc(ports: Ports, address: Address): Promise<GrpcServer> {
  const server = new grpc.Server({
    ...KEEPALIVE,
    "grpc.max_receive_message_length": MAX_REQUEST_BYTES,
    "grpc-node.max_session_memory": Number.MAX_SAFE_INTEGER,
    "grpc.max_concurrent_streams": MOST_STREAMS,
    interceptors: [counted(ports)],
  });
  const streams = new Set<Standing>();
  const room = new Room();
  const stopping = new AbortController();
  server.addService(
    serviceDefinition(DiscoveryService),
    measuredGrpc(ports.telemetry, DiscoveryService, discoveryHandlers(ports, room, streams)),
  );
  server.addService(
    serviceDefinition(RegistryService),
    measuredGrpc(ports.telemetry, RegistryService, registryHandlers(ports, streams)),
  );
  server.addService(
    serviceDefinition(FleetService),
    measuredGrpc(ports.telemetry, FleetService, fleetHandlers(ports, room, stopping.signal)),
  );
  const health = addHealthAndReflection(server, [DiscoveryService, FleetService, RegistryService]);

  const bound = await listen(server, address, ports.log, stopping.signal);
  // As `/readyz` says it.
  health.follow(() => ports.reading.problems().length === 0);
  return {
    address: bound,
    async [Symbol.asyncDispose]() {
      health.stopping();
      stopping.abort();
      await stopSpread([...streams]);
      for (const late of streams) late.stop();
      const late = setTimeout(() => server.forceShutdown(), STOP_MS);
      await new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
      clearTimeout(late);
    },
  };
}

/** From one stream that ends to the next, in ms. */
const SPREAD_MS = 1;

/** Ends streams one after the other, so that not all of their clients come back at once. */
async function stopSpread(streams: readonly Standing[]): Promise<void> {
  const inTime = Math.min(streams.length * SPREAD_MS, STOP_MS);
  const begun = performance.now();
  for (const [i, stream] of streams.entries()) {
    const waitMs = begun + i * inTime / streams.length - performance.now();
    if (waitMs >= 1) await sleep(waitMs, new AbortController().signal);
    stream.stop();
  }
}

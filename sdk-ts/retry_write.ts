import { type ServiceError } from "@grpc/grpc-js";
import { RegistryService } from "../proto/gen/portolan/v1/registry_pb.ts";
import { type Client, createClient } from "../proto/grpc.ts";
import type { Log } from "../proto/log.ts";
import { FINAL_CODES, reconnectDelay } from "./backoff.ts";
import type { ControlPlanes } from "./control_planes.ts";
import type { Ports } from "./ports.ts";
import { reasonOf } from "./reason.ts";

/** A change of the map, and how it is tried. */
export interface Write<T> {
  /** For sentences: `register "identity/i1"`. */
  readonly what: string;
  readonly controlPlanes: ControlPlanes;
  readonly log: Log;
  /** Ends the trying. */
  readonly signal: AbortSignal;
  /** A refusal is no reason to give up: what refuses now may be mended. */
  readonly despiteRefusals?: boolean;
  /** One try. All say the same operation id, so that done twice is done once. */
  attempt(
    client: Client<typeof RegistryService>,
    call: { timeoutMs: number; signal: AbortSignal },
  ): Promise<T>;
}

// Whatever may be the connection's fault is tried again.
const TRY_MS = 5_000;

/** Tries until a control plane answers or the signal ends it; throws a refusal. */
export async function retryWrite<T>(write: Write<T>, { random, sleep }: Ports): Promise<T> {
  const { what, controlPlanes, log, signal, despiteRefusals } = write;
  for (let failures = 1;; failures++) {
    const { address, at } = controlPlanes.current;
    const client = createClient(RegistryService, address, { "grpc.use_local_subchannel_pool": 1 });
    try {
      signal.throwIfAborted();
      return await write.attempt(client, { timeoutMs: TRY_MS, signal });
    } catch (error) {
      const { code, details } = error as Partial<ServiceError>;
      if (signal.aborted) throw new Error(`Cannot ${what}: given up before a control plane answered`, { cause: error });
      if (code === undefined) throw error;
      if (FINAL_CODES.has(code) && !despiteRefusals) throw new Error(`Cannot ${what}: ${details}`, { cause: error });
      log.warn(`Cannot ${what} yet`, { controlPlane: address, reason: reasonOf(error) });
      controlPlanes.failed(at);
    } finally {
      client.close();
    }
    await sleep(reconnectDelay(failures, random), signal);
  }
}

import { type ServiceError, status } from "@grpc/grpc-js";
import { RegistryService } from "../proto/gen/portolan/v1/registry_pb.ts";
import { type Client, createClient } from "../proto/grpc.ts";
import { type Log, SILENT } from "../proto/log.ts";
import { FINAL_CODES, type Ports, REAL, reconnectDelay } from "./backoff.ts";

export interface RegisterOptions {
  /** `host:port` of each; tried in turn. */
  readonly controlPlanes: readonly string[];
  readonly realm: string;
  readonly service: string;
  /** Unique in the service; registering it again replaces what is said here. */
  readonly id: string;
  readonly instance: {
    readonly host: string;
    readonly port: number;
    /** Default 1. */
    readonly version?: number;
    /** 0 to 256, default 100. */
    readonly weight?: number;
    readonly zone?: string;
    readonly hostId?: string;
    readonly metadata?: Readonly<Record<string, string>>;
  };
  /** For people. */
  readonly reason?: string;
  readonly log?: Log;
  /** Ends the trying. */
  readonly signal?: AbortSignal;
}

/** An instance on the map, until disposed: then it is deregistered, or an error says that it could not be. */
export interface Registration extends AsyncDisposable {
  /** Since when the map holds it. */
  readonly revision: bigint;
}

// Registering twice is registering once, so whatever may be the connection's fault is tried again.
const TRY_MS = 5_000;
/** Who shuts down does not wait longer than this for a control plane that is gone. */
const FAREWELL_MS = 5_000;

/** Puts a permanent instance on the map. Tries until a control plane answers or the signal ends it; throws a refusal. */
export async function register(options: RegisterOptions, ports: Ports = REAL): Promise<Registration> {
  const { realm, service, id, instance, reason = "", signal = new AbortController().signal } = options;
  const name = `${service}/${id}`;
  const request = {
    realm,
    service,
    id,
    instance: { ...instance, metadata: { ...instance.metadata } },
    options: { reason },
  };
  let givenUp = false;
  const leave = async () => {
    const farewell = AbortSignal.timeout(FAREWELL_MS);
    await persist(options, ports, farewell, `deregister "${name}"`, async (client, call) => {
      await client.deregister({ realm, service, id, options: { reason } }, call).catch(unlessGone);
    });
  };
  const arrive = persist(options, ports, signal, `register "${name}"`, (client, call) => {
    return client.register(request, call).finally(() => givenUp = signal.aborted);
  });
  const { revision } = await arrive.catch(async (error) => {
    // An attempt that was given up may have been done; nobody would be there to undo it later.
    if (givenUp) await leave().catch(() => {});
    throw error;
  });
  let left: Promise<void> | undefined;
  return { revision, [Symbol.asyncDispose]: () => left ??= leave() };
}

type Attempt<T> = (
  client: Client<typeof RegistryService>,
  call: { timeoutMs: number; signal: AbortSignal },
) => Promise<T>;

async function persist<T>(
  { controlPlanes, log = SILENT }: RegisterOptions,
  { random, sleep }: Ports,
  signal: AbortSignal,
  what: string,
  attempt: Attempt<T>,
): Promise<T> {
  for (let turn = 0;; turn++) {
    const address = controlPlanes[turn % controlPlanes.length];
    if (address === undefined) throw new TypeError(`Cannot ${what}: no control plane is named`);
    const client = createClient(RegistryService, address, { "grpc.use_local_subchannel_pool": 1 });
    try {
      signal.throwIfAborted();
      return await attempt(client, { timeoutMs: TRY_MS, signal });
    } catch (error) {
      const { code, details } = error as Partial<ServiceError>;
      if (signal.aborted) throw new Error(`Cannot ${what}: given up before a control plane answered`, { cause: error });
      if (code === undefined) throw error;
      if (FINAL_CODES.has(code)) throw new Error(`Cannot ${what}: ${details}`, { cause: error });
      log.warn(`Cannot ${what} yet`, { controlPlane: address, reason: details });
    } finally {
      client.close();
    }
    await sleep(reconnectDelay(turn + 1, random), signal);
  }
}

// Deregistered by somebody else, or by an attempt whose answer was lost.
function unlessGone(error: ServiceError): void {
  if (error.code !== status.NOT_FOUND) throw error;
}

/** Hosts that keep instances on the map by beats, and can fall silent. */
import { RegistryService, type RenewResponse } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { type Client, createClient, type Duplex } from "../../proto/grpc.ts";

export interface Host {
  readonly name: string;
  readonly instances: number;
  readonly lease: string;
  /** It sends no beats. */
  silent: boolean;
  /** When it sent the last one, in ms of `performance.now()`. */
  lastBeat: number;
}

export interface HostsOptions {
  readonly grpc: string;
  readonly ttlMs: number;
}

const BEATS_PER_TTL = 3;

/** All of them beat over one stream, which is opened again whenever it breaks. */
export class Hosts implements Disposable {
  readonly all: Host[] = [];
  /** Leases that a beat was answered for: they hold nothing any more. */
  readonly over = new Set<string>();
  readonly #options: HostsOptions;
  readonly #registry: Client<typeof RegistryService>;
  readonly #timer: ReturnType<typeof setInterval>;
  #stream: Duplex<typeof RegistryService.method.renew> | undefined;

  constructor(options: HostsOptions) {
    this.#options = options;
    this.#registry = createClient(RegistryService, options.grpc, {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.initial_reconnect_backoff_ms": 50,
      "grpc.max_reconnect_backoff_ms": 100,
    });
    this.#timer = setInterval(() => this.#beat(), options.ttlMs / BEATS_PER_TTL);
  }

  /** Adds a host: so many instances of services `s0`…, under one lease. */
  async add(name: string, instances: number, services: number): Promise<Host> {
    const { ttlMs } = this.#options;
    const ttl = { seconds: BigInt(Math.floor(ttlMs / 1_000)), nanos: ttlMs % 1_000 * 1_000_000 };
    let lease = "";
    for (let n = 0; n < instances; n++) {
      const instance = { host: "127.0.0.1", port: 8080, hostId: name, ttl };
      const service = `s${(this.all.length + n) % services}`;
      const target = { realm: "local", service, id: `${name}-${n}` };
      const { leaseId } = await this.#registry.register({ ...target, instance, leaseId: lease }, { timeoutMs: 20_000 });
      lease ||= leaseId;
    }
    const host = { name, instances, lease, silent: false, lastBeat: performance.now() };
    this.all.push(host);
    return host;
  }

  silence(hosts: readonly Host[], silent = true): void {
    for (const host of hosts) host.silent = silent;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#stream?.cancel();
    this.#registry.close();
  }

  #beat(): void {
    this.#stream ??= this.#open();
    for (const host of this.all) {
      if (host.silent) continue;
      this.#stream.write({ leaseId: host.lease });
      host.lastBeat = performance.now();
    }
  }

  #open(): Duplex<typeof RegistryService.method.renew> {
    const stream = this.#registry.renew();
    stream.on("data", ({ leaseId, alive }: RenewResponse) => alive || this.over.add(leaseId));
    stream.on("error", () => this.#stream = undefined);
    return stream;
  }
}

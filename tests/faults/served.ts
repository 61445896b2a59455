/** A host whose HAProxy serves instances that write down what arrives, and changes of its map. */
import { type Host, type HostOptions, startHost } from "../scenario/testing/host.ts";
import { type Receivers, startReceivers } from "../traffic/receivers.ts";
import type { Targets } from "../traffic/senders.ts";
import { startTraffic, type Traffic, type TrafficOptions } from "../traffic/traffic.ts";
import type { Chance } from "./seed.ts";

export interface Served extends AsyncDisposable {
  readonly host: Host;
  readonly receivers: Receivers;
}

/** Never switched off, so that every request has somewhere to go. */
const STEADY = [
  { id: "i1", service: "identity", version: 1 },
  { id: "i2", service: "identity", version: 2 },
  { id: "g1", service: "greeter", version: 1, protocol: "grpc" },
] as const;
const SWITCHED = [
  { id: "i3", service: "identity", version: 1 },
  { id: "i4", service: "identity", version: 2 },
  { id: "g2", service: "greeter", version: 1, protocol: "grpc" },
] as const;

/** What traffic asks for. */
const TARGETS: Required<Targets> = { http: ["identity", "v1.identity", "canary.identity"], grpc: ["greeter"] };

/** Starts it; the map is applied. */
export async function startServed(options?: HostOptions): Promise<Served> {
  await using used = new AsyncDisposableStack();
  const host = used.use(await startHost(options));
  const receivers = used.use(await startReceivers([...STEADY, ...SWITCHED]));
  await host.call("PUT", "/services/greeter", { protocol: "H2C" });
  for (const { id, service, version } of [...STEADY, ...SWITCHED]) {
    await host.call("PUT", `/services/${service}/instances/${id}`, {
      host: "127.0.0.1",
      port: receivers.port(id),
      version,
    });
  }
  await host.call("PUT", "/services/identity/aliases/canary", { version: 2 });
  await host.applied();
  const all = used.move();
  return { host, receivers, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Where nothing may fail, whatever is sent. */
export const ALL_SENDERS = {
  kept: 8,
  new: 2,
  post: 2,
  h2c: 3,
  grpc: 2,
  slow: 2,
  stream: 4,
  websocket: 4,
  grpc_stream: 2,
};

/** Where HAProxy ends: a gRPC channel waits on its own before it connects again, so that nobody could say when it is served. */
export const SENDERS_WITHOUT_GRPC = { kept: 6, new: 2, post: 2, h2c: 3, slow: 2, stream: 2, websocket: 2 };

/** Starts traffic to all of it. */
export function startTrafficTo(
  { host, receivers }: Served,
  chance: Chance,
  load: Pick<TrafficOptions, "senders" | "perSecond" | "streamMs">,
): Promise<Traffic> {
  const seed = chance.below(2 ** 32);
  return startTraffic({ port: host.egressPort, receivers, seed, services: TARGETS, ...load });
}

/** Writes to the map, each of them one commit, after which every request still has somewhere to go. */
export class Changes {
  /** Instances that are disabled or drain. */
  readonly switchedOff = new Set<string>();
  readonly #host: Host;
  readonly #receivers: Receivers;
  readonly #chance: Chance;
  #news = 0;
  #headers = 0;
  #turns = 0;
  #isExtraThere = false;

  constructor({ host, receivers }: Served, chance: Chance) {
    this.#host = host;
    this.#receivers = receivers;
    this.#chance = chance;
  }

  /** One that needs no reload. */
  async write(): Promise<void> {
    switch (this.#chance.below(6)) {
      case 0:
      case 1:
        return await this.switch();
      case 2:
        return await this.weigh();
      case 3:
        return await this.comeAndGo();
      case 4:
        return await this.#newService();
      default:
        return await this.alias();
    }
  }

  /** An instance is disabled, drained, or enabled again. */
  async switch(): Promise<void> {
    const { id, service } = this.#chance.pick(SWITCHED);
    const path = `/services/${service}/instances/${id}`;
    if (this.switchedOff.delete(id)) return void await this.#host.call("POST", `${path}:enable`);
    await this.#host.call("POST", `${path}:${this.#chance.pick(["disable", "drain"])}`);
    this.switchedOff.add(id);
  }

  /** An instance gets another weight. */
  async weigh(): Promise<void> {
    const { id, service, version } = this.#chance.pick(STEADY);
    await this.#put(service, id, { port: this.#receivers.port(id), version, weight: 1 + this.#chance.below(256) });
  }

  /** An instance is there, or not any more. */
  async comeAndGo(): Promise<void> {
    const path = "/services/identity/instances/extra";
    this.#isExtraThere = !this.#isExtraThere;
    if (!this.#isExtraThere) return void await this.#host.call("DELETE", path);
    await this.#put("identity", "extra", { port: this.#receivers.port("i1"), version: 1 });
  }

  /** Callers are led to another version, or to both. */
  async alias(): Promise<void> {
    const share = this.#chance.below(10_001);
    const route = this.#chance.pick([
      { version: 1 },
      { version: 2 },
      { split: [{ version: 1, share }, { version: 2, share: 10_000 - share }] },
    ]);
    await this.#host.call("PUT", `/services/identity/aliases/${this.#chance.pick(["live", "canary"])}`, route);
  }

  /** Callers of an alias are led to the other version. */
  async turn(): Promise<void> {
    await this.#host.call("PUT", "/services/identity/aliases/turned", { version: 1 + this.#turns++ % 2 });
  }

  /** There is a rule for each sticky header: one that is new, as here, costs a reload. */
  async reloading(): Promise<void> {
    const split = [{ version: 1, share: 5_000 }, { version: 2, share: 5_000 }];
    const stickyHeader = `x-user-${++this.#headers}`;
    await this.#host.call("PUT", "/services/identity/aliases/trial", { split, stickyHeader });
  }

  async #newService(): Promise<void> {
    const number = this.#news++;
    if (number % 3 < 2) return await this.#put(`new-${number}`, "i", { port: this.#receivers.port("i1"), version: 1 });
    await this.#host.call("DELETE", `/services/new-${number - 1}?force=true`);
  }

  async #put(service: string, id: string, instance: object): Promise<void> {
    await this.#host.call("PUT", `/services/${service}/instances/${id}`, { host: "127.0.0.1", ...instance });
  }
}

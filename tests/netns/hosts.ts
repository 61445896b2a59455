/** Several hosts with all that runs on hosts, their control plane on one more, and what became of every request. */
import assert from "node:assert/strict";
import { ControlPlane } from "./control_plane.ts";
import type { CallerOptions } from "./inside/caller.ts";
import { Network } from "./network.ts";
import { type Arrival, type Cut, judge, type Outcome, type Verdict } from "./requests.ts";
import { RigHost } from "./rig_host.ts";

export interface ServiceOptions {
  /** The hosts that have an instance; default all. */
  readonly on?: readonly string[];
  /** Without one its instances are permanent. */
  readonly ttlMs?: number;
}

export interface HostsOptions {
  /** How many hosts each zone has. Those of zone `a` are called `a1`, `a2`, … */
  readonly zones: Readonly<Record<string, number>>;
  readonly services: Readonly<Record<string, ServiceOptions>>;
}

const PLANE = "plane";

/** Starts all of it; resolves when every HAProxy routes to every instance. */
export async function startHosts({ zones, services }: HostsOptions): Promise<Hosts> {
  const zoneOf = new Map(
    Object.entries(zones).flatMap(([zone, count]) =>
      Array.from({ length: count }, (_, n) => [`${zone}${n + 1}`, zone])
    ),
  );
  await using started = new AsyncDisposableStack();
  const network = started.use(await Network.open([PLANE, ...zoneOf.keys()]));
  const plane = started.use(await ControlPlane.start(network, network.host(PLANE)));
  const placed = new Map(Object.entries(services).map(([name, { on }]) => [name, on ?? [...zoneOf.keys()]]));
  const arrivals = new Map<string, Arrival[]>();
  const onArrival = (arrival: Arrival) => void arrivals.set(arrival.id, [...arrivals.get(arrival.id) ?? [], arrival]);
  const all = await Promise.all([...zoneOf].map(([name, zone]) => {
    const own = Object.entries(services).filter(([service]) => placed.get(service)?.includes(name));
    const ofHost = own.map(([name, { ttlMs }]) => ({ name, ...(ttlMs !== undefined && { ttlMs }) }));
    return RigHost.start({ network, zone, name, controlPlane: plane.grpc, services: ofHost, onArrival });
  }));
  for (const host of all) started.use(host);
  await arrived(plane, all);
  return new Hosts({ network, plane, all, placed, arrivals }, started.move());
}

/** A request, and what its outcome was, or a sentence on why it must not be. */
export interface Judged {
  readonly outcome: Outcome;
  readonly verdict: Verdict | Error;
}

interface Parts {
  readonly network: Network;
  readonly plane: ControlPlane;
  readonly all: readonly RigHost[];
  readonly placed: ReadonlyMap<string, readonly string[]>;
  readonly arrivals: ReadonlyMap<string, readonly Arrival[]>;
}

/** What has happened on them is what `judge` goes by. */
export class Hosts implements AsyncDisposable {
  readonly plane: ControlPlane;
  readonly all: readonly RigHost[];
  /** The hosts with an instance, by service. */
  readonly placed: ReadonlyMap<string, readonly string[]>;
  /** By request. */
  readonly arrivals: ReadonlyMap<string, readonly Arrival[]>;
  readonly cuts: Cut[] = [];
  /** Of all callers, in the order in which they came. */
  readonly outcomes: Outcome[] = [];
  readonly #network: Network;
  readonly #parts: AsyncDisposableStack;

  constructor({ network, plane, all, placed, arrivals }: Parts, parts: AsyncDisposableStack) {
    this.#network = network;
    this.plane = plane;
    this.all = all;
    this.placed = placed;
    this.arrivals = arrivals;
    this.#parts = parts;
  }

  host(name: string): RigHost {
    const host = this.all.find((host) => host.name === name);
    if (!host) throw new Error(`Cannot find host "${name}": there are ${this.all.map(({ name }) => name).join(", ")}`);
    return host;
  }

  /** Cuts a host off from all others and from the control plane, or from the control plane alone, until `heal`. */
  async cut(host: RigHost, from?: "control plane"): Promise<void> {
    const begun = Date.now();
    await host.wire.cut(from && this.plane.host);
    const separates = (one: string, other: string) => !from && one !== other && [one, other].includes(host.name);
    this.cuts.push({ begun, made: Date.now(), healed: Infinity, separates });
  }

  /** All reach each other again. */
  async heal(): Promise<void> {
    await this.#network.heal();
    const healed = Date.now();
    this.cuts.splice(0, Infinity, ...this.cuts.map((cut) => cut.healed === Infinity ? { ...cut, healed } : cut));
  }

  /**
   * Resolves when the map has every instance again, and every sidecar has applied its newest revision. Fails if a HAProxy
   * does not route as the map says then, but for instances that its sidecar says to have ejected.
   */
  async converged(): Promise<void> {
    for (;;) {
      const enabled = await this.plane.enabled();
      const revision = await arrived(this.plane, this.all);
      const found = await Promise.all(this.all.map((host) => differences(host, enabled)));
      const whole = [...this.placed].every(([service, hosts]) => enabled.get(service)?.size === hosts.length);
      if (whole && await arrived(this.plane, this.all) === revision) {
        return assert.deepEqual(found.flat(), [], `not all route by revision ${revision}`);
      }
      // Who comes back by itself tells nobody here.
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Calls from every host, until `end`. */
  async call(options: Omit<CallerOptions, "host" | "seed">, seedOf: () => number): Promise<void> {
    await Promise.all(this.all.map((host) =>
      host.startCaller({ ...options, seed: seedOf() }, (outcome) => {
        this.outcomes.push(outcome);
      })
    ));
  }

  /** No new requests; resolves, with what became of each of them, when all have come to their end. */
  async end(): Promise<readonly Judged[]> {
    await Promise.all(this.all.map((host) => host.endCaller()));
    // What they have said is read to its end.
    await Promise.all(this.all.map((host) => host.endInstances()));
    return this.outcomes.map((outcome) => ({ outcome, verdict: judge(outcome, this) }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts.disposeAsync();
  }
}

/** Resolves with the newest revision when all have applied it; throws, with what sidecars have said, after a minute. */
async function arrived(plane: ControlPlane, all: readonly RigHost[]): Promise<string> {
  try {
    return await plane.arrived(all.map(({ name }) => name));
  } catch (error) {
    const said = all.map(({ name, lastWords }) => `${name}: ${lastWords}`);
    throw new Error([(error as Error).message, ...said].join("\n"), { cause: error });
  }
}

/** Where a HAProxy does not send requests as the map says, as sentences. */
async function differences(
  host: RigHost,
  enabled: ReadonlyMap<string, ReadonlyMap<string, string>>,
): Promise<readonly string[]> {
  const [routes, { ejected = [] }] = await Promise.all([host.routes(), host.state()]);
  const isEjected = (service: string, id: string) =>
    ejected.some((out) => out.service === service && out.instance === id);
  return [...new Set([...routes.keys(), ...enabled.keys()])].flatMap((service) => {
    const there = routes.get(service) ?? new Set<string>();
    const wanted = enabled.get(service) ?? new Map<string, string>();
    const missing = [...wanted].filter(([address, id]) => !there.has(address) && !isEjected(service, id));
    const foreign = [...there].filter((address) => !wanted.has(address));
    return [
      ...missing.map(([address, id]) => `${host.name} does not route to ${service}/${id} at ${address}`),
      ...foreign.map((address) => `${host.name} routes to ${address} for ${service}`),
    ];
  });
}

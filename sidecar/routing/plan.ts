/**
 * What HAProxy shall run, as data. `Wanted` speaks of services and versions; a `HaproxyPlan` has given each of them a
 * backend of its own and says what stands in the map file that requests are looked up in.
 */

/** What a backend holds: one version of a service, or all of its instances. */
export type Pool = number | "all";

/**
 * `ready` takes traffic; `maintenance` takes none because the map says so; `leaving` is gone from the map and stays only
 * until its last connection ends.
 */
export type ServerState = "ready" | "maintenance" | "leaving";

/** One instance in one backend. */
export interface Server {
  /**
   * The instance's id. One whose address has changed is another server, `i1.1` and so on: HAProxy would go on using the
   * connections that a server has, wherever it is by now.
   */
  readonly name: string;
  /** An IP literal. */
  readonly host: string;
  readonly port: number;
  /** 0 to 256; 0 takes no new traffic, and what is under way may end. */
  readonly weight: number;
  readonly state: ServerState;
}

/**
 * How requests reach the instances of a pool. A backend has one form for as long as it lives: for another one the pool
 * gets another backend.
 */
export interface Form {
  /** `tcp` is bytes that are passed on as they are, TLS too. */
  readonly speaks: "http1" | "h2c" | "tcp";
  readonly balancer: "p2c" | "round_robin" | "ring_hash";
  /** How long an instance may be silent, in ms; 0: as long as any. */
  readonly answerMs: number;
  /** Requests or connections of this host that an instance has at once; 0: no limit. */
  readonly maxConnections: number;
  /** What may wait for one of those, for each instance; 0: no limit. */
  readonly maxQueue: number;
}

export const USUAL_FORM: Form = { speaks: "http1", balancer: "p2c", answerMs: 0, maxConnections: 0, maxQueue: 0 };

/** A server, by its name and that of its backend in HAProxy. */
export interface ServerRef {
  readonly slot: string;
  readonly name: string;
}

/** By name; what is wanted, by the instances' ids. */
export type Servers = ReadonlyMap<string, Server>;

/** Where a name that callers write leads. */
export interface WantedRoute {
  /** In the form that is hashed and looked up: `identity`, `canary.identity`, `v42.identity`. */
  readonly name: string;
  /** In ascending versions; basis points that add up to 10 000. */
  readonly shares: readonly { readonly pool: Pool; readonly share: number }[];
  readonly stickyHeader?: string;
}

/** One service, as it shall be routed. A pool that no instance belongs to is not there. */
export interface WantedService {
  readonly name: string;
  readonly form: Form;
  /** Where it is served beside the one port for all. */
  readonly localPort?: number;
  readonly pools: ReadonlyMap<Pool, Servers>;
  readonly routes: readonly WantedRoute[];
}

/** By service name. */
export type Wanted = ReadonlyMap<string, WantedService>;

export interface Backend {
  /** Its name in HAProxy: never given to another pool. */
  readonly slot: string;
  readonly service: string;
  readonly pool: Pool;
  readonly form: Form;
  readonly servers: Servers;
}

/** A port of one service. */
export interface Listener {
  readonly service: string;
  readonly speaks: "http" | "tcp";
}

export interface HaproxyPlan {
  /** By slot, in the order of the file. */
  readonly backends: ReadonlyMap<string, Backend>;
  /** Slots of backends that HAProxy has and nobody uses yet: a pool of the usual form needs no reload to get one. */
  readonly spares: readonly string[];
  /** By port. */
  readonly listeners: ReadonlyMap<number, Listener>;
  /**
   * Rows of the map file: `identity/1` → `b001`, for connections (not requests) `identity/p1` → `b002`. A value is a
   * slot, `no_instances`, `tcp_only`, or (`identity/s`) a header's name.
   */
  readonly routes: ReadonlyMap<string, string>;
  /** Headers that there is a rule for, sorted. */
  readonly stickyHeaders: readonly string[];
  /** Number of the next new slot. */
  readonly nextSlot: number;
}

export const EMPTY_PLAN: HaproxyPlan = {
  backends: new Map(),
  spares: [],
  listeners: new Map(),
  routes: new Map(),
  stickyHeaders: [],
  nextSlot: 1,
};

/** Value of a row whose route exists but has no instance that can be used, and the backend that answers then. */
export const NO_INSTANCES = "no_instances";

/** Value of a row whose route takes no requests, as its instances speak none, and the backend that answers then. */
export const TCP_ONLY = "tcp_only";

/** The instance that a server stands for. */
export function instanceOf(serverName: string): string {
  const dot = serverName.indexOf(".");
  return dot < 0 ? serverName : serverName.slice(0, dot);
}

/** Whether a request that is sent to these servers finds one. */
export function usable(servers: Servers): boolean {
  for (const server of servers.values()) if (server.state === "ready" && server.weight > 0) return true;
  return false;
}

export function sameForm(a: Form, b: Form): boolean {
  return a === b || (a.speaks === b.speaks && a.balancer === b.balancer && a.answerMs === b.answerMs &&
    a.maxConnections === b.maxConnections && a.maxQueue === b.maxQueue);
}

/** By service. */
export type Slots = ReadonlyMap<string, readonly Backend[]>;

export function slotsOf(backends: Iterable<Backend>): Slots {
  return Map.groupBy(backends, ({ service }) => service);
}

/** The one backend of a pool in the form that the service has now. */
export function slotFor(slots: Slots, { name, form }: WantedService, pool: Pool): Backend | undefined {
  return slots.get(name)?.find((backend) => backend.pool === pool && sameForm(backend.form, form));
}

/** Whether a backend of this form is like the spare ones, as far as it is not a matter of its servers. */
export function fitsSpare({ speaks, balancer, answerMs, maxQueue }: Form): boolean {
  const { balancer: usual } = USUAL_FORM;
  return speaks !== "tcp" && balancer === usual && answerMs === USUAL_FORM.answerMs && maxQueue === USUAL_FORM.maxQueue;
}

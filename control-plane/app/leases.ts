/**
 * Which lease holds which instances, and when each was last renewed. Holders and what they hold are read from the map;
 * beats are this process's own observation, on a clock that only goes forward.
 */
import { type ClusterMap, findInstance, findService, type Instance } from "../domain/cluster_map.ts";
import type { LeaseLoad } from "../domain/brake.ts";
import type { Change } from "../domain/change.ts";
import type { Target } from "../domain/decision.ts";
import type { InstanceId, LeaseId, Realm, ServiceName, Ttl } from "../domain/names.ts";
import { type Refusal, refuse } from "../domain/refusal.ts";
import type { Clock } from "./clock.ts";

interface Lease {
  readonly id: LeaseId;
  readonly ttl: Ttl;
  /** When its holder beat last. */
  lastBeat: number;
  /** Its ttl counts from here: from that beat, or from when this process could hear again. */
  from: number;
  readonly holdings: Map<Realm, Holding>;
  /** Realms in which it ends: no beat brings it back. */
  readonly ending: Set<Realm>;
}

/** What a lease holds in one realm, as `SERVICE/ID`. */
interface Holding {
  readonly instances: Set<string>;
  /** Those that the brake keeps. */
  readonly held: Set<string>;
}

interface Ended extends LeaseLoad {
  readonly realm: Realm;
}

export class Leases {
  readonly #leases = new Map<LeaseId, Lease>();
  /** Of these, those that the brake keeps something of, and those that end: few, where there are many leases. */
  readonly #kept = new Set<Lease>();
  readonly #ending = new Set<Lease>();
  /** Leases that were ended of late. */
  #ended: Ended[] = [];
  /** None runs out before this. */
  #next = -Infinity;

  constructor(private readonly clock: Pick<Clock, "monotonic">) {}

  /** Begins anew with what `map` says: nobody's lease ends before a whole TTL from now. */
  reset(map: ClusterMap): void {
    for (const leases of [this.#leases, this.#kept, this.#ending]) leases.clear();
    for (const [realm, { services }] of map.realms) {
      for (const [service, { instances }] of services) {
        for (const instance of instances) this.#hold({ realm, service }, instance, -Infinity);
      }
    }
  }

  /** Takes in what a commit changed; `before` is the map without it. */
  take(before: ClusterMap, changes: readonly Change[]): void {
    for (const change of changes) {
      if (change.kind === "put_instance") {
        this.#drop(before, change, change.instance.id, change.instance.lease);
        this.#hold(change, change.instance, this.clock.monotonic());
      } else if (change.kind === "delete_instance") {
        this.#drop(before, change, change.id);
      }
    }
  }

  /**
   * The lease for an instance that is about to be registered: the one that is asked for, else the one that holds it alone,
   * else a new one.
   */
  leaseFor(map: ClusterMap, target: Target, id: InstanceId, ttl: Ttl, asked?: LeaseId): LeaseId | Refusal {
    if (asked !== undefined) {
      const lease = this.#standing(asked);
      if (!lease) {
        return refuse("not_found", `Cannot join lease "${asked}": it holds nothing any more; ask for a new one`);
      }
      if (lease.ttl === ttl) return asked;
      return refuse("invalid", `Cannot join lease "${asked}": expected its own ttl of ${lease.ttl} ms, not ${ttl} ms`, [
        { field: "ttl", description: `expected ${lease.ttl} ms, as the lease has it` },
      ]);
    }
    const before = findInstance(findService(map, target.realm, target.service), id);
    const lease = before?.lease && this.#standing(before.lease);
    if (lease && lease.ttl === ttl && countOf(lease) === 1) return lease.id;
    return crypto.randomUUID() as LeaseId;
  }

  /** A sign of life; false: there is no such lease any more, or it ends. */
  beat(id: LeaseId): boolean {
    const lease = this.#standing(id);
    if (lease) lease.lastBeat = lease.from = this.clock.monotonic();
    return lease !== undefined;
  }

  /** Whether the lease holds this instance. */
  holds(lease: LeaseId, { realm, service }: Target, id: InstanceId): boolean {
    return this.#leases.get(lease)?.holdings.get(realm)?.instances.has(`${service}/${id}`) ?? false;
  }

  /** This process was paused for so many ms until now: where that counts for the ttl, nobody can be blamed for silence. */
  pause(ms: number): void {
    const now = this.clock.monotonic();
    for (const lease of this.#leases.values()) if (ms * PAUSES_PER_TTL >= lease.ttl) lease.from = now;
  }

  /** Ends what these hold in a realm: what else runs out of late counts them for two TTLs more. */
  end(realm: Realm, ids: readonly LeaseId[]): void {
    for (const id of ids) {
      const lease = this.#leases.get(id);
      if (!lease) continue;
      this.#ended.push({ ...this.#load(lease, realm), realm });
      lease.ending.add(realm);
      this.#ending.add(lease);
    }
  }

  /** Leases that still hold something where they end. */
  ending(): ReadonlyMap<Realm, readonly LeaseId[]> {
    const ids = new Map<Realm, LeaseId[]>();
    for (const { id, ending, holdings } of this.#ending) {
      for (const realm of ending) if (holdings.has(realm)) append(ids, realm, id);
    }
    return ids;
  }

  /** Every lease of every realm, as the brake judges them; those that were ended of late among them. */
  loads(): ReadonlyMap<Realm, readonly LeaseLoad[]> {
    const now = this.clock.monotonic();
    // One that ends with it is judged a TTL after itself at the latest.
    this.#ended = this.#ended.filter(({ from, ttl }) => now - from <= 3 * ttl);
    const loads = new Map<Realm, LeaseLoad[]>();
    for (const { realm, ...load } of this.#ended) append(loads, realm, { ...load, state: "removed" });
    for (const lease of this.#leases.values()) {
      for (const realm of lease.holdings.keys()) {
        if (!lease.ending.has(realm)) append(loads, realm, this.#load(lease, realm));
      }
    }
    return loads;
  }

  /** Nothing runs out before this, in ms of the monotonic clock; once that has come, something has. */
  nextEnd(): number {
    // Beats put an end off, so what was next is a bound until it comes.
    if (this.#next > this.clock.monotonic()) return this.#next;
    this.#next = Infinity;
    for (const lease of this.#leases.values()) {
      if (isOpen(lease)) this.#next = Math.min(this.#next, lease.from + lease.ttl);
    }
    return this.#next;
  }

  /** Leases that the brake keeps something of, and whose holders beat since. */
  returned(): readonly LeaseId[] {
    const now = this.clock.monotonic();
    const isHeld = ({ holdings }: Lease) => [...holdings.values()].some(({ held }) => held.size > 0);
    return [...this.#kept].filter((one) => now - one.lastBeat < one.ttl && isHeld(one)).map(({ id }) => id);
  }

  /** The services of a realm in which these leases hold something. */
  servicesOf(realm: Realm, leases: Iterable<LeaseId>): ReadonlySet<ServiceName> {
    const names = new Set<ServiceName>();
    for (const id of leases) {
      const keys = this.#leases.get(id)?.holdings.get(realm)?.instances ?? [];
      for (const key of keys) names.add(key.split("/")[0] as ServiceName);
    }
    return names;
  }

  realmsOf(id: LeaseId): readonly Realm[] {
    return [...this.#leases.get(id)?.holdings.keys() ?? []];
  }

  get size(): number {
    return this.#leases.size;
  }

  #standing(id: LeaseId): Lease | undefined {
    const lease = this.#leases.get(id);
    return lease?.ending.size === 0 ? lease : undefined;
  }

  #load(lease: Lease, realm: Realm): LeaseLoad {
    const { instances = NONE, held = NONE } = lease.holdings.get(realm) ?? {};
    // Where the brake was interrupted it judges again.
    const state = held.size > 0 && held.size === instances.size ? "held" : "standing";
    return { lease: lease.id, ttl: lease.ttl, from: lease.from, instances: instances.size, state };
  }

  #hold({ realm, service }: Target, { id, lease: name, ttl, held }: Omit<Instance, "modified">, heard: number): void {
    if (name === undefined || ttl === undefined) return;
    const lease = this.#leases.get(name) ??
      { id: name, ttl, lastBeat: heard, from: this.clock.monotonic(), holdings: new Map(), ending: new Set() };
    this.#leases.set(name, lease);
    const holding = lease.holdings.get(realm) ?? { instances: new Set(), held: new Set() };
    lease.holdings.set(realm, holding);
    const key = `${service}/${id}`;
    holding.instances.add(key);
    if (held) {
      holding.held.add(key);
      this.#kept.add(lease);
    } else {
      this.#next = Math.min(this.#next, lease.from + lease.ttl);
    }
  }

  /** Takes an instance from the lease that held it; one that is to hold it again keeps its beat. */
  #drop(before: ClusterMap, { realm, service }: Target, id: InstanceId, next?: LeaseId): void {
    const name = findInstance(findService(before, realm, service), id)?.lease;
    const lease = name === undefined ? undefined : this.#leases.get(name);
    const holding = lease?.holdings.get(realm);
    if (!lease || !holding) return;
    const key = `${service}/${id}`;
    holding.instances.delete(key);
    holding.held.delete(key);
    if (holding.instances.size === 0) lease.holdings.delete(realm);
    if (lease.holdings.size > 0 || name === next) return;
    this.#leases.delete(lease.id);
    this.#kept.delete(lease);
    this.#ending.delete(lease);
  }
}

/** A pause that is shorter than such a part of a ttl is none: a beat is missed by it at most. */
const PAUSES_PER_TTL = 10;
const NONE: ReadonlySet<string> = new Set();

/** Whether it holds anything that nothing is decided of. */
function isOpen({ holdings, ending }: Lease): boolean {
  for (const [realm, { instances, held }] of holdings) {
    if (held.size < instances.size && !ending.has(realm)) return true;
  }
  return false;
}

function countOf({ holdings }: Lease): number {
  return [...holdings.values()].reduce((sum, { instances }) => sum + instances.size, 0);
}

function append<K, V>(lists: Map<K, V[]>, key: K, value: V): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}

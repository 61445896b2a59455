/** The cluster map: what the log of changes adds up to, at one position. Immutable; versions of it share structure. */
import type {
  AliasName,
  Epoch,
  Host,
  HostId,
  InstanceId,
  LeaseId,
  Port,
  Realm,
  Revision,
  ServiceName,
  Ttl,
  Version,
  Weight,
  Zone,
} from "./names.ts";
import { NO_REVISION } from "./names.ts";
import { PersistentMap } from "./persistent_map.ts";
import type { Route } from "./route.ts";
import type { ServiceSpec } from "./service_spec.ts";

export interface ClusterMap {
  readonly position: Position;
  /** Who holds an older revision than this may have missed a deletion that nobody remembers. */
  readonly floor: Revision;
  readonly realms: PersistentMap<Realm, RealmMap>;
}

/** A point in one history. Positions of different epochs cannot be compared. */
export interface Position {
  readonly epoch: Epoch;
  readonly revision: Revision;
}

export interface RealmMap {
  readonly services: PersistentMap<ServiceName, Service>;
  /** When services that are gone were deleted, until that is forgotten and the floor rises. */
  readonly tombstones: PersistentMap<ServiceName, Revision>;
}

export interface Service {
  readonly name: ServiceName;
  /** Revision that last touched anything of it. */
  readonly modified: Revision;
  /** Revision that last touched its own fields. */
  readonly specModified: Revision;
  readonly enabled: boolean;
  readonly spec: ServiceSpec;
  /** By id, in byte order. */
  readonly instances: readonly Instance[];
  /** By name, in byte order. */
  readonly aliases: readonly Alias[];
  /** At least the bytes of its encoding; see `size.ts`. */
  readonly bytes: number;
}

/** What its registrar says of an instance. */
export interface InstanceSpec {
  readonly id: InstanceId;
  readonly host: Host;
  readonly port: Port;
  readonly version: Version;
  readonly weight: Weight;
  readonly zone?: Zone;
  readonly hostId?: HostId;
  readonly metadata: Readonly<Record<string, string>>;
  /** How long it stays without a beat of its lease; absent: permanent, and there is no lease. */
  readonly ttl?: Ttl;
  /** What holds it. */
  readonly lease?: LeaseId;
}

/** What is observed; unknown is routed like passing. */
export type Status = "passing" | "failing" | "unknown";

export interface Instance extends InstanceSpec {
  readonly modified: Revision;
  /** What an operator wants. */
  readonly enabled: boolean;
  /** It is leaving. */
  readonly draining: boolean;
  readonly status: Status;
  /** Its lease ran out, and the brake keeps it. */
  readonly held: boolean;
}

export interface Alias {
  readonly name: AliasName;
  readonly modified: Revision;
  readonly route: Route;
}

/** Bounds of what one service may hold; a service travels whole. */
export const MAX_INSTANCES = 5_000;
export const MAX_SERVICE_BYTES = 1 << 20;

const EMPTY_REALM: RealmMap = { services: PersistentMap.empty(), tombstones: PersistentMap.empty() };

/** The map before the first commit of a history. */
export function emptyMap(epoch: Epoch): ClusterMap {
  return { position: { epoch, revision: NO_REVISION }, floor: NO_REVISION, realms: PersistentMap.empty() };
}

/** A realm exists by being named: one that nobody has written to is empty. */
export function realmOf(map: ClusterMap, realm: Realm): RealmMap {
  return map.realms.get(realm) ?? EMPTY_REALM;
}

export function findService(map: ClusterMap, realm: Realm, name: ServiceName): Service | undefined {
  return realmOf(map, realm).services.get(name);
}

export function findInstance(service: Service | undefined, id: InstanceId): Instance | undefined {
  return service?.instances.find((instance) => instance.id === id);
}

export function findAlias(service: Service | undefined, name: AliasName): Alias | undefined {
  return service?.aliases.find((alias) => alias.name === name);
}

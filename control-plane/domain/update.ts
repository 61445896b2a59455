/** What a watcher does not know yet: whole services and names that are gone. */
import { type ClusterMap, type Position, realmOf, type Service } from "./cluster_map.ts";
import type { Realm, ServiceName } from "./names.ts";

/** What part of the map somebody follows. */
export interface Scope {
  readonly realm: Realm;
  /** Absent: every service of the realm, those to come included. */
  readonly services?: ReadonlySet<ServiceName>;
}

/** Folding it into a map of its scope makes that map complete up to `position`. */
export interface Update {
  readonly position: Position;
  /** Start from empty. */
  readonly complete: boolean;
  /** By name, in byte order; each replaces the whole service of its name. */
  readonly set: readonly Service[];
  /** Names in scope that do not exist. */
  readonly deleted: readonly ServiceName[];
}

/**
 * What changed in `scope` since `after`: on subscribing, and for every read. Everything there is, marked complete, where
 * that cannot be told: nothing held yet, another epoch, below the floor, ahead of this map.
 */
export function since(map: ClusterMap, scope: Scope, after?: Position): Update {
  const realm = realmOf(map, scope.realm);
  if (!after || !canResume(map, after)) {
    return { position: map.position, complete: true, set: servicesIn(map, scope), deleted: [] };
  }
  const set = servicesIn(map, scope).filter((service) => service.modified > after.revision);
  const deleted = [...realm.tombstones]
    .filter(([name, revision]) => revision > after.revision && inScope(scope, name) && !realm.services.get(name))
    .map(([name]) => name);
  return { position: map.position, complete: false, set, deleted };
}

/** The newest state of `names`: what a watcher who is owed them gets. */
export function collect(map: ClusterMap, realm: Realm, names: Iterable<ServiceName>): Update {
  const { services } = realmOf(map, realm);
  const set: Service[] = [];
  const deleted: ServiceName[] = [];
  for (const name of names) {
    const service = services.get(name);
    if (service) set.push(service);
    else deleted.push(name);
  }
  return { position: map.position, complete: false, set: set.sort(byName), deleted };
}

export function inScope({ services }: Scope, name: ServiceName): boolean {
  return services === undefined || services.has(name);
}

/** Services of a scope, by name, in byte order. */
export function servicesIn(map: ClusterMap, scope: Scope): readonly Service[] {
  const { services } = realmOf(map, scope.realm);
  const found = scope.services
    ? [...scope.services].map((name) => services.get(name)).filter((service) => service !== undefined)
    : [...services].map(([, service]) => service);
  return found.sort(byName);
}

/** Whether what changed since `after` can be told. */
export function canResume(map: ClusterMap, after: Position): boolean {
  return after.epoch === map.position.epoch && after.revision >= map.floor && after.revision <= map.position.revision;
}

function byName(a: Service, b: Service): number {
  return a.name < b.name ? -1 : 1;
}

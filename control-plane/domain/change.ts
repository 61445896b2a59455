/** What a commit says has become so, and the map that it adds up to. */
import {
  type Alias,
  type ClusterMap,
  emptyMap,
  findAlias,
  findInstance,
  type Instance,
  type RealmMap,
  realmOf,
  type Service,
} from "./cluster_map.ts";
import { type AliasName, type Epoch, type InstanceId, NO_REVISION, type Realm } from "./names.ts";
import type { Revision, ServiceName } from "./names.ts";
import { DEFAULT_SPEC, type ServiceSpec, specBytes } from "./service_spec.ts";
import { aliasBytes, instanceBytes, SERVICE_BYTES } from "./size.ts";

/** A fact about the store's history, or about one service. Facts of a commit have its revision. */
export type Change =
  | { readonly kind: "begin_epoch"; readonly epoch: Epoch }
  | { readonly kind: "raise_floor"; readonly floor: Revision }
  | ServiceChange & { readonly realm: Realm; readonly service: ServiceName };

type ServiceChange =
  | { readonly kind: "put_service"; readonly enabled: boolean; readonly spec: ServiceSpec }
  /** Something of it was written; nothing else, where its service does not exist. */
  | { readonly kind: "touch_service" }
  /** With all of it; leaves a tombstone. */
  | { readonly kind: "delete_service" }
  /** The tombstone goes too. */
  | { readonly kind: "forget_service" }
  | { readonly kind: "put_instance"; readonly instance: Omit<Instance, "modified"> }
  | { readonly kind: "delete_instance"; readonly id: InstanceId }
  | { readonly kind: "put_alias"; readonly alias: Omit<Alias, "modified"> }
  | { readonly kind: "delete_alias"; readonly name: AliasName };

/**
 * The map after a commit. Total: any changes on any map make a map, and the cost does not grow with the map.
 * Changes of one key may be left out if a later one is there: so a log can be kept as the newest value of each key.
 */
export function apply(map: ClusterMap, revision: Revision, changes: readonly Change[]): ClusterMap {
  let { floor, realms } = map;
  let epoch = map.position.epoch;
  for (const change of changes) {
    if (change.kind === "begin_epoch") epoch = change.epoch;
    else if (change.kind === "raise_floor") floor = change.floor;
    else realms = realms.set(change.realm, applyToRealm(realms.get(change.realm) ?? NOTHING, revision, change));
  }
  return { position: { epoch, revision }, floor, realms };
}

const NOTHING = realmOf(emptyMap(1n as Epoch), "" as Realm);

type OfService = Extract<Change, { readonly service: ServiceName }>;

function applyToRealm(realm: RealmMap, revision: Revision, change: OfService): RealmMap {
  const { services, tombstones } = realm;
  const { service: name } = change;
  if (change.kind === "delete_service") {
    return { services: services.delete(name), tombstones: tombstones.set(name, revision) };
  }
  if (change.kind === "forget_service") return { services, tombstones: tombstones.delete(name) };
  const before = services.get(name);
  // What is removed from a service that is gone was removed with it.
  if (!before && (change.kind === "delete_instance" || change.kind === "delete_alias")) return realm;
  const after = applyToService(before ?? newService(name), revision, change);
  return {
    services: services.set(name, { ...after, modified: revision }),
    tombstones: before ? tombstones : tombstones.delete(name),
  };
}

function applyToService(service: Service, revision: Revision, change: OfService): Service {
  switch (change.kind) {
    case "put_service": {
      const { enabled, spec } = change;
      const bytes = service.bytes + specBytes(spec) - specBytes(service.spec);
      return { ...service, enabled, spec, specModified: revision, bytes };
    }
    case "put_instance": {
      const before = findInstance(service, change.instance.id);
      const instances = replaced(
        service.instances,
        before,
        { ...change.instance, modified: revision },
        (one) => one.id,
      );
      const bytes = service.bytes + instanceBytes(change.instance) - (before ? instanceBytes(before) : 0);
      return { ...service, instances, bytes };
    }
    case "delete_instance": {
      const before = findInstance(service, change.id);
      if (!before) return service;
      const instances = service.instances.filter((one) => one !== before);
      return { ...service, instances, bytes: service.bytes - instanceBytes(before) };
    }
    case "put_alias": {
      const before = findAlias(service, change.alias.name);
      const aliases = replaced(service.aliases, before, { ...change.alias, modified: revision }, (one) => one.name);
      const bytes = service.bytes + aliasBytes(change.alias) - (before ? aliasBytes(before) : 0);
      return { ...service, aliases, bytes };
    }
    case "delete_alias": {
      const before = findAlias(service, change.name);
      if (!before) return service;
      const aliases = service.aliases.filter((one) => one !== before);
      return { ...service, aliases, bytes: service.bytes - aliasBytes(before) };
    }
    case "touch_service":
    case "delete_service":
    case "forget_service":
      return service;
  }
}

// Facts may come before the service's own fields when a log is read by the newest value of each key.
function newService(name: ServiceName): Service {
  const bytes = SERVICE_BYTES + name.length;
  const [modified, specModified, spec] = [NO_REVISION, NO_REVISION, DEFAULT_SPEC];
  return { name, modified, specModified, enabled: true, spec, instances: [], aliases: [], bytes };
}

/** `list`, sorted by key, with `after` in the place of `before` or where its key belongs. */
function replaced<T>(list: readonly T[], before: T | undefined, after: T, keyOf: (one: T) => string): readonly T[] {
  if (before) return list.map((one) => one === before ? after : one);
  const key = keyOf(after);
  const next = list.findIndex((one) => keyOf(one) > key);
  return next < 0 ? [...list, after] : [...list.slice(0, next), after, ...list.slice(next)];
}

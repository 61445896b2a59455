/** What somebody wants, and what the map lets them have. */
import {
  type ClusterMap,
  findAlias,
  findInstance,
  findService,
  type Instance,
  type InstanceSpec,
  MAX_INSTANCES,
  MAX_SERVICE_BYTES,
  type Service,
} from "./cluster_map.ts";
import type { Change } from "./change.ts";
import { type AliasName, type InstanceId, NO_REVISION, type Realm, type Revision, type ServiceName } from "./names.ts";
import { type Refusal, refuse } from "./refusal.ts";
import { type Route, sameRoute } from "./route.ts";
import { aliasBytes, instanceBytes } from "./size.ts";

export type Command =
  & { readonly realm: Realm; readonly service: ServiceName }
  & (
    | { readonly kind: "register"; readonly instance: InstanceSpec }
    | { readonly kind: "deregister"; readonly id: InstanceId }
    /** Without an id: the service itself. */
    | { readonly kind: "set_enabled"; readonly id?: InstanceId; readonly enabled: boolean }
    | { readonly kind: "put_alias"; readonly alias: AliasName; readonly route: Route }
  );

export type Decision = Acceptance | Unchanged | Refusal;

/** These changes, if what they rely on has not moved when they are committed. */
export interface Acceptance {
  readonly kind: "accept";
  readonly changes: readonly Change[];
  readonly relies: readonly Reliance[];
}

/** It is so already, since `revision`. */
export interface Unchanged {
  readonly kind: "unchanged";
  readonly revision: Revision;
}

/** A decision holds while the resource was last touched at `revision`; 0: while it does not exist. */
export interface Reliance {
  readonly realm: Realm;
  readonly service: ServiceName;
  /** Absent: the service's own fields. */
  readonly instance?: InstanceId;
  readonly alias?: AliasName;
  /** Anything of the service, whatever it is. */
  readonly touch?: true;
  readonly revision: Revision;
}

/** Judges a command by the map alone: the same map and command give the same decision. */
export function decide(map: ClusterMap, command: Command): Decision {
  const service = findService(map, command.realm, command.service);
  switch (command.kind) {
    case "register":
      return decideRegister(command, service);
    case "deregister":
      return decideDeregister(command, service);
    case "set_enabled":
      return command.id === undefined ? decideService(command, service) : decideInstance(command, service, command.id);
    case "put_alias":
      return decideAlias(command, service);
  }
}

type Of<K extends Command["kind"]> = Extract<Command, { readonly kind: K }>;

function decideRegister(command: Of<"register">, service: Service | undefined): Decision {
  const before = findInstance(service, command.instance.id);
  const instance = { ...command.instance, enabled: before?.enabled ?? true };
  if (before && sameInstance(before, instance)) return unchanged(before.modified);
  if (!before && service && service.instances.length >= MAX_INSTANCES) {
    return refuse("too_large", `Cannot register another instance of "${service.name}": it has ${MAX_INSTANCES}`, [
      { field: "instances", description: `expected at most ${MAX_INSTANCES} instances of a service` },
    ]);
  }
  const growth = instanceBytes(instance) - (before ? instanceBytes(before) : 0);
  const field = Object.keys(instance.metadata).length > 0 ? "metadata" : "instances";
  return tooLarge(command, service, growth, field) ?? accept(command, service, {
    change: { kind: "put_instance", instance },
    relies: { instance: instance.id, revision: before?.modified ?? NO_REVISION },
  });
}

function decideDeregister(command: Of<"deregister">, service: Service | undefined): Decision {
  const before = findInstance(service, command.id);
  if (!before) return noInstance(command, service, command.id);
  return accept(command, service, {
    change: { kind: "delete_instance", id: command.id },
    relies: { instance: command.id, revision: before.modified },
  });
}

function decideService(command: Of<"set_enabled">, service: Service | undefined): Decision {
  if (!service) return noService(command);
  if (service.enabled === command.enabled) return unchanged(service.specModified);
  return accept(command, service, { change: { kind: "put_service", enabled: command.enabled } });
}

function decideInstance(command: Of<"set_enabled">, service: Service | undefined, id: InstanceId): Decision {
  const before = findInstance(service, id);
  if (!before) return noInstance(command, service, id);
  if (before.enabled === command.enabled) return unchanged(before.modified);
  const { modified, ...rest } = before;
  return accept(command, service, {
    change: { kind: "put_instance", instance: { ...rest, enabled: command.enabled } },
    relies: { instance: id, revision: modified },
  });
}

function decideAlias(command: Of<"put_alias">, service: Service | undefined): Decision {
  const { alias: name, route } = command;
  const before = findAlias(service, name);
  if (before && sameRoute(before.route, route)) return unchanged(before.modified);
  const growth = aliasBytes({ name, route }) - (before ? aliasBytes(before) : 0);
  return tooLarge(command, service, growth, "route") ?? accept(command, service, {
    change: { kind: "put_alias", alias: { name, route } },
    relies: { alias: name, revision: before?.modified ?? NO_REVISION },
  });
}

type Without<T, K extends string> = T extends unknown ? Omit<T, K> : never;
type OfService = Without<Extract<Change, { readonly service: ServiceName }>, "realm" | "service">;

/** One change of a service that is there or begins with it. Its touch is written blindly, so writers do not collide. */
function accept(
  { realm, service: name }: Command,
  service: Service | undefined,
  { change, relies }: { change: OfService; relies?: Without<Reliance, "realm" | "service"> },
): Acceptance {
  const of = { realm, service: name };
  const begin: OfService[] = service ? [] : [{ kind: "put_service", enabled: true }, { kind: "forget_service" }];
  const changes = [...begin, change, { kind: "touch_service" } as const].map((one) => ({ ...one, ...of }) as Change);
  const own: Reliance = { ...of, revision: service?.specModified ?? NO_REVISION };
  const all = [own, ...(relies ? [{ ...of, ...relies }] : [])];
  // A service that nears its bounds is not written blindly any more: what others add counts.
  if (service && isLarge(service)) all.push({ ...of, touch: true, revision: service.modified });
  return { kind: "accept", changes, relies: all };
}

// Far enough from the bounds for all writes that are under way at once.
function isLarge({ bytes, instances }: Service): boolean {
  return bytes > MAX_SERVICE_BYTES / 4 || instances.length > MAX_INSTANCES / 4;
}

function unchanged(revision: Revision): Unchanged {
  return { kind: "unchanged", revision };
}

function noService({ realm, service }: Command): Refusal {
  return refuse("not_found", `Cannot find service "${service}" in realm "${realm}": it does not exist`);
}

function noInstance(command: Command, service: Service | undefined, id: InstanceId): Refusal {
  if (!service) return noService(command);
  return refuse("not_found", `Cannot find instance "${service.name}/${id}": it does not exist`);
}

function tooLarge(command: Command, service: Service | undefined, growth: number, field: string): Refusal | undefined {
  // A write that makes a service smaller passes, whatever its size.
  if (growth <= 0 || (service?.bytes ?? 0) + growth <= MAX_SERVICE_BYTES) return undefined;
  return refuse("too_large", `Cannot make service "${command.service}" larger: it travels whole, in 1 MiB at most`, [
    { field, description: `expected a service of at most ${MAX_SERVICE_BYTES} bytes` },
  ]);
}

function sameInstance(a: Omit<Instance, "modified">, b: Omit<Instance, "modified">): boolean {
  const keys = Object.keys(a.metadata);
  return a.host === b.host && a.port === b.port && a.version === b.version && a.weight === b.weight &&
    a.zone === b.zone && a.hostId === b.hostId && a.enabled === b.enabled &&
    keys.length === Object.keys(b.metadata).length && keys.every((key) => a.metadata[key] === b.metadata[key]);
}

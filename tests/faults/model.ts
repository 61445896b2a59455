/** What writes do to a map, told once more in the simplest way: what the control plane says is held against it. */
import type { AliasLike, InstanceLike, RouteLike, ServiceLike } from "./service_text.ts";

/** A write, as its writer means it. Services are named with their realm: `local/teams`. */
export type Operation =
  | {
    readonly kind: "register";
    readonly service: string;
    readonly id: string;
    readonly instance: {
      readonly port: number;
      readonly version: number;
      readonly weight: number;
      readonly hostId: string;
      readonly metadata: Readonly<Record<string, string>>;
    };
  }
  | { readonly kind: "deregister"; readonly service: string; readonly id: string }
  | { readonly kind: "enable" | "disable" | "drain"; readonly service: string; readonly id: string }
  | { readonly kind: "enable_service" | "disable_service"; readonly service: string }
  | HostOperation
  | { readonly kind: "put_alias"; readonly service: string; readonly alias: string; readonly route: RouteLike }
  | { readonly kind: "delete_alias"; readonly service: string; readonly alias: string }
  | { readonly kind: "delete_service"; readonly service: string };

/** What a commit did: an operation, or a part of one that takes several. */
export type Logged =
  | Operation
  /** No instance of the service drains any more: before the service is switched on. */
  | { readonly kind: "undrain"; readonly service: string }
  /** It only says that all of an operation is done. */
  | { readonly kind: "record" };

/** All instances of a host. The control plane does so in several commits: `services` are those of one. */
export interface HostOperation {
  readonly kind: "enable_host" | "disable_host" | "drain_host";
  readonly realm: string;
  readonly hostId: string;
  readonly services: readonly string[];
}

interface ModelInstance extends InstanceLike {
  readonly hostId: string;
}

/** A service of the model; `undefined` where there is none. */
export interface ModelService extends ServiceLike {
  readonly instances: readonly ModelInstance[];
}

/** Services by their names with realm. */
export type Model = Map<string, ModelService>;

/** Does to the model what the write does at its revision; answers with the names of all that it touched. */
export function perform(model: Model, revision: bigint, operation: Logged): readonly string[] {
  if (operation.kind === "record") return [];
  if ("hostId" in operation) return performOnHost(model, revision, operation);
  const { service: name } = operation;
  const before = model.get(name);
  const after = changed(before ?? created(name, revision), revision, operation);
  if (after) model.set(name, { ...after, modified: revision });
  else model.delete(name);
  return [name];
}

type OfService = Extract<Logged, { readonly service: string }>;

function changed(service: ModelService, revision: bigint, operation: OfService): ModelService | undefined {
  const { instances, aliases } = service;
  const where = (is: (one: ModelInstance) => boolean, change: (one: ModelInstance) => ModelInstance) => ({
    ...service,
    instances: instances.map((one) => is(one) ? { ...change(one), modified: revision } : one),
  });
  const each = (id: string, change: (one: ModelInstance) => ModelInstance) => where((one) => one.id === id, change);
  switch (operation.kind) {
    case "register": {
      const { id, instance } = operation;
      const enabled = instances.find((one) => one.id === id)?.enabled ?? true;
      const one = { id, modified: revision, enabled, draining: false, ...instance };
      return { ...service, instances: put(instances, one, (one) => one.id) };
    }
    case "deregister":
      return { ...service, instances: instances.filter(({ id }) => id !== operation.id) };
    case "enable":
      return each(operation.id, (one) => ({ ...one, enabled: true, draining: false }));
    case "disable":
      return each(operation.id, (one) => ({ ...one, enabled: false }));
    case "drain":
      return each(operation.id, (one) => ({ ...one, draining: true }));
    case "undrain":
      return where(({ draining }) => draining, (one) => ({ ...one, draining: false }));
    case "enable_service":
    case "disable_service":
      return { ...service, specModified: revision, enabled: operation.kind === "enable_service" };
    case "put_alias": {
      const alias: AliasLike = { name: operation.alias, modified: revision, route: operation.route };
      return { ...service, aliases: put(aliases, alias, ({ name }) => name) };
    }
    case "delete_alias":
      return { ...service, aliases: aliases.filter(({ name }) => name !== operation.alias) };
    case "delete_service":
      return undefined;
  }
}

function performOnHost(model: Model, revision: bigint, { kind, hostId, services }: HostOperation): readonly string[] {
  for (const name of services) {
    const service = model.get(name);
    const instances = service?.instances.map((one) => one.hostId === hostId ? ofHost(one, revision, kind) : one) ?? [];
    const changed = instances.some((one, at) => one !== service?.instances[at]);
    if (!service || !changed) throw new Error(`Revision ${revision}, ${kind} of ${hostId}, changed nothing of ${name}`);
    model.set(name, { ...service, modified: revision, instances });
  }
  return services;
}

/** The same instance where it is so already. */
function ofHost(one: ModelInstance, modified: bigint, kind: HostOperation["kind"]): ModelInstance {
  const enabled = kind === "drain_host" ? one.enabled : kind === "enable_host";
  const draining = kind === "drain_host" || (kind === "disable_host" && one.draining);
  return one.enabled === enabled && one.draining === draining ? one : { ...one, modified, enabled, draining };
}

function created(name: string, revision: bigint): ModelService {
  const [, service = ""] = name.split("/");
  return { name: service, modified: revision, specModified: revision, enabled: true, instances: [], aliases: [] };
}

function put<T>(list: readonly T[], one: T, nameOf: (one: T) => string): readonly T[] {
  const others = list.filter((other) => nameOf(other) !== nameOf(one));
  return [...others, one].sort((a, b) => nameOf(a) < nameOf(b) ? -1 : 1);
}

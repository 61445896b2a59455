/** Makes a realm what somebody says it is: everything is checked first, then committed in many steps, then a new epoch begins. */
import type { Change } from "../domain/change.ts";
import {
  type Alias,
  type Instance,
  MAX_INSTANCES,
  MAX_SERVICE_BYTES,
  type Position,
  realmOf,
} from "../domain/cluster_map.ts";
import type { Service } from "../domain/cluster_map.ts";
import type { OfService } from "../domain/decision.ts";
import type { LeaseId, Realm, ServiceName } from "../domain/names.ts";
import { halfDone, isRefusal, type Refusal, refuse } from "../domain/refusal.ts";
import { type ServiceSpec, specBytes } from "../domain/service_spec.ts";
import { aliasBytes, instanceBytes, SERVICE_BYTES } from "../domain/size.ts";
import type { Store } from "../store/store.ts";
import type { Caller } from "./caller.ts";
import type { Clock } from "./clock.ts";
import type { Hub } from "./hub.ts";
import type { Operations } from "./operations.ts";
import { type Note, writesOf } from "./store_keys.ts";

/** A service as it is to be; leases are not taken over. */
export interface ImportedService {
  readonly name: ServiceName;
  readonly enabled: boolean;
  readonly spec: ServiceSpec;
  readonly instances: readonly Omit<Instance, "modified" | "lease">[];
  readonly aliases: readonly Omit<Alias, "modified">[];
}

export interface Imported {
  readonly position: Position;
  readonly services: number;
  readonly removed: number;
}

export interface ImportOptions {
  readonly store: Store;
  readonly hub: Hub;
  readonly operations: Pick<Operations, "beginEpoch">;
  readonly clock: Pick<Clock, "wall">;
}

/** More than this share of a realm's instances or services, in percent, goes only by force. */
const MOST_REMOVED = 30;
/** Changes in one commit: commits stay small, also for stores that bound them. */
const AT_ONCE = 80;
const COMMITS_AT_ONCE = 64;

/** Replaces what `realm` holds. Refused before anything is written, or by the store on the way: then it can be repeated. */
export async function importRealm(
  options: ImportOptions,
  caller: Caller,
  realm: Realm,
  services: readonly ImportedService[],
  force: boolean,
): Promise<Imported | Refusal> {
  const { hub, store, clock, operations } = options;
  const { services: present } = realmOf(hub.current(), realm);
  const wanted = new Map(services.map((service) => [service.name, service]));
  const gone = [...present].map(([, service]) => service).filter(({ name }) => !wanted.has(name));
  const refusal = services.map(sizeProblem).find((problem) => problem !== undefined) ??
    (force ? undefined : lossProblem(realm, [...present].map(([, service]) => service), wanted));
  if (refusal) return refusal;
  const note: Note = {
    time: clock.wall(),
    identity: caller.identity,
    operation: "import",
    ...(caller.reason && { reason: caller.reason }),
  };
  const additions = services.flatMap((service) => inSteps(realm, service.name, additionsOf(service)));
  const removals = [
    ...services.flatMap((service) => inSteps(realm, service.name, removalsOf(service, present.get(service.name)))),
    ...gone.map(({ name }): Change[] => [{ kind: "delete_service", realm, service: name }]),
  ];
  // What goes waits until all that is new is there: nobody is without instances on the way, wherever it ends.
  const failure = await commitAll(store, [...grouped(additions), ...grouped(removals)], note);
  if (failure) {
    const { reason, nothing } = failure;
    if (nothing) return refuse("unavailable", `Cannot import realm "${realm}": ${reason}`);
    return refuse("unknown", `Cannot import all of realm "${realm}": ${reason}; what was written stays, import again`);
  }
  const position = await operations.beginEpoch(caller);
  return isRefusal(position) ? halfDone(position) : { position, services: services.length, removed: gone.length };
}

/** Commits that are made at once. */
function* grouped(commits: readonly Change[][]): Generator<readonly Change[][]> {
  for (let from = 0; from < commits.length; from += COMMITS_AT_ONCE) yield commits.slice(from, from + COMMITS_AT_ONCE);
}

/** Commits group after group; answers with why one was not made, and whether nothing was written for certain. */
async function commitAll(store: Store, groups: readonly (readonly Change[][])[], note: Note) {
  for (const [at, group] of groups.entries()) {
    const outcomes = await Promise.all(group.map((changes) => store.commit(writesOf(changes, note))));
    const failed = outcomes.find(({ kind }) => kind !== "committed");
    if (!failed) continue;
    const nothing = at === 0 && outcomes.every(({ kind }) => kind === "refused");
    return { reason: "reason" in failed ? failed.reason : failed.kind, nothing };
  }
  return undefined;
}

function additionsOf({ enabled, spec, instances, aliases }: ImportedService): OfService[] {
  return [
    { kind: "put_service", enabled, spec },
    ...instances.map((one): OfService => {
      const lease = one.ttl === undefined ? {} : { lease: crypto.randomUUID() as LeaseId };
      return { kind: "put_instance", instance: { ...one, ...lease } };
    }),
    ...aliases.map((alias): OfService => ({ kind: "put_alias", alias })),
  ];
}

function removalsOf({ instances, aliases }: ImportedService, present: Service | undefined): OfService[] {
  const ids = new Set<string>(instances.map(({ id }) => id));
  const names = new Set<string>(aliases.map(({ name }) => name));
  return [
    ...present?.instances.filter(({ id }) => !ids.has(id)).map(({ id }): OfService => ({
      kind: "delete_instance",
      id,
    })) ?? [],
    ...present?.aliases.filter(({ name }) => !names.has(name)).map(({ name }): OfService => ({
      kind: "delete_alias",
      name,
    })) ?? [],
  ];
}

/** Changes of a service as commits, each of which touches it. */
function inSteps(realm: Realm, service: ServiceName, changes: readonly OfService[]): Change[][] {
  const commits: Change[][] = [];
  for (let from = 0; from < changes.length; from += AT_ONCE) {
    const some: OfService[] = [...changes.slice(from, from + AT_ONCE), { kind: "touch_service" }];
    commits.push(some.map((change) => ({ ...change, realm, service }) as Change));
  }
  return commits;
}

function sizeProblem({ name, spec, instances, aliases }: ImportedService): Refusal | undefined {
  const bytes = instances.reduce((sum, one) => sum + instanceBytes(one), SERVICE_BYTES + name.length) +
    aliases.reduce((sum, one) => sum + aliasBytes(one), specBytes(spec));
  if (instances.length <= MAX_INSTANCES && bytes <= MAX_SERVICE_BYTES) return undefined;
  return refuse("too_large", `Cannot import service "${name}": it is larger than ${MAX_INSTANCES} instances or 1 MiB`);
}

function lossProblem(realm: Realm, present: readonly Service[], wanted: ReadonlyMap<ServiceName, ImportedService>) {
  const lost = present.map(({ name, instances }) => {
    const kept = new Set<string>(wanted.get(name)?.instances.map(({ id }) => id));
    return instances.filter(({ id }) => !kept.has(id)).length;
  }).reduce((sum, one) => sum + one, 0);
  const instances = present.reduce((sum, one) => sum + one.instances.length, 0);
  const services = present.filter(({ name }) => !wanted.has(name)).length;
  if (lost * 100 <= MOST_REMOVED * instances && services * 100 <= MOST_REMOVED * present.length) return undefined;
  const what = `${lost} of ${instances} instances and ${services} of ${present.length} services`;
  return refuse(
    "in_use",
    `Cannot import realm "${realm}": ${what} would go, more than ${MOST_REMOVED} %; force it if they may`,
  );
}

import { type Instance, Instance_Status, type Service } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Held, HeldAt } from "./fold.ts";

type Services = ReadonlyMap<string, Service>;

/** Instances that a new epoch lacks, by service: routed on while their registrars come back. */
export interface Kept {
  readonly services: Services;
  /** When they go, in ms of the clock that `keep` goes by. */
  readonly until: number;
}

export const NOTHING_KEPT: Kept = { services: new Map(), until: 0 };

/** How long what a new epoch lacks is routed on, in ms: longer than registrars take to come back. */
export const KEEP_MS = 5 * 60_000;

/** From one map to the next, as `fold` tells it. */
export interface Step {
  readonly before: Held;
  readonly after: HeldAt;
  readonly changed: ReadonlySet<string>;
}

/**
 * What is kept after a step. With a new epoch: all that was routed and is not in its map. Within one: no more than
 * before, without instances that have come back, and without services that had come back and were deleted.
 */
export function keep(kept: Kept, { before, after, changed }: Step, now: number): Kept {
  if (before.position && before.position.epoch < after.position.epoch) {
    return { services: lacking(routed(before.services, kept), after.services), until: now + KEEP_MS };
  }
  if (![...changed].some((name) => kept.services.has(name))) return kept;
  const services = new Map(kept.services);
  for (const name of changed) {
    const service = kept.services.get(name);
    if (!service) continue;
    const deleted = before.services.has(name) && !after.services.has(name);
    const left = deleted ? undefined : without(service, after.services.get(name));
    left ? services.set(name, left) : services.delete(name);
  }
  return { ...kept, services };
}

/** What is routed: the map, and beside it what is kept. The map is right about whatever it has. */
export function routed(services: Services, { services: kept }: Kept): Services {
  if (kept.size === 0) return services;
  const all = new Map(services);
  for (const [name, service] of kept) {
    const own = services.get(name);
    all.set(name, own ? { ...own, instances: [...own.instances, ...service.instances].sort(byId) } : service);
  }
  return all;
}

/** Services with the instances that `services` does not have, as nobody observes them. */
function lacking(wanted: Services, services: Services): Services {
  const missing = new Map<string, Service>();
  for (const [name, service] of wanted) {
    const left = without(service, services.get(name));
    if (left) missing.set(name, { ...left, instances: left.instances.map(unobserved) });
  }
  return missing;
}

/** A service without the instances that another form of it has; `undefined` if none is left. */
function without(service: Service, other: Service | undefined): Service | undefined {
  if (!other) return service.instances.length > 0 ? service : undefined;
  const there = new Set(other.instances.map(({ id }) => id));
  const instances = service.instances.filter(({ id }) => !there.has(id));
  return instances.length > 0 ? { ...service, instances } : undefined;
}

function unobserved(instance: Instance): Instance {
  return { ...instance, status: Instance_Status.UNKNOWN };
}

function byId(a: Instance, b: Instance): number {
  return a.id < b.id ? -1 : 1;
}

/** Decides what becomes of instances. */
import { findInstance, type Instance, MAX_INSTANCES, type Service } from "./cluster_map.ts";
import type { CommandOf, Selection } from "./command.ts";
import { beginService } from "./decide_service.ts";
import type { Decision, Expected, Target } from "./decision.ts";
import { accept, acceptEach, changed, moved, noService, tooLarge, unchanged } from "./decision.ts";
import { type InstanceId, NO_REVISION } from "./names.ts";
import { type Refusal, refuse } from "./refusal.ts";
import { instanceBytes } from "./size.ts";

export function decideRegister(command: CommandOf<"register">, service: Service | undefined): Decision {
  const { instance: spec, expected } = command;
  const before = findInstance(service, spec.id);
  const refusal = moved(expected, before?.modified, nameOf(command, spec.id));
  if (refusal) return refusal;
  const status = before && before.lease === spec.lease ? before.status : "unknown";
  const instance = { ...spec, enabled: before?.enabled ?? true, draining: false, status, held: false };
  if (before && sameInstance(before, instance)) return unchanged(before.modified);
  if (!before && service && service.instances.length >= MAX_INSTANCES) {
    return refuse("too_large", `Cannot register another instance of "${service.name}": it has ${MAX_INSTANCES}`, [
      { field: "instances", description: `expected at most ${MAX_INSTANCES} instances of a service` },
    ]);
  }
  const growth = instanceBytes(instance) - (before ? instanceBytes(before) : 0);
  const field = Object.keys(instance.metadata).length > 0 ? "metadata" : "instances";
  const begin = service ? [] : [beginService()];
  return tooLarge(command, service, growth, field) ?? accept(command, service, {
    changes: [...begin, { kind: "put_instance", instance }],
    relies: [{ instance: instance.id, revision: before?.modified ?? NO_REVISION }],
    growth,
  });
}

export function decideDeregister(command: CommandOf<"deregister">, service: Service | undefined): Decision {
  const { id, expected } = command;
  const before = findInstance(service, id);
  const refusal = moved(expected, before?.modified, nameOf(command, id));
  if (refusal) return refusal;
  return before ? remove(command, service, [before]) : noInstance(command, service, id);
}

/** What an operator asks of one instance, of those of a host, or of all. */
export function decideInstances(
  command: Target & Selection & { readonly expected?: Expected },
  service: Service | undefined,
  wanted: (instance: Instance) => Partial<Instance>,
): Decision {
  const { id, hostId, expected } = command;
  if (id === undefined) {
    if (!service) return noService(command);
    return change(
      command,
      service,
      hostId ? service.instances.filter((one) => one.hostId === hostId) : service.instances,
      wanted,
      true,
    );
  }
  const instance = findInstance(service, id);
  const refusal = moved(expected, instance?.modified, nameOf(command, id));
  if (refusal) return refusal;
  return instance && service ? change(command, service, [instance], wanted) : noInstance(command, service, id);
}

/** Statuses of instances that the lease does not hold (any more) say nothing. */
export function decideReport(command: CommandOf<"report">, service: Service | undefined): Decision {
  const { lease, statuses } = command;
  if (!service) return noService(command);
  const mine = service.instances.filter((one) => one.lease === lease && statuses.has(one.id));
  return change(command, service, mine, ({ id, status }) => ({ status: statuses.get(id) ?? status }));
}

export function decideExpire(command: CommandOf<"expire">, service: Service | undefined): Decision {
  if (!service) return noService(command);
  return remove(command, service, heldBy(service, command.leases));
}

/** A held instance is one that nobody observes. */
export function decideHold(command: CommandOf<"hold">, service: Service | undefined): Decision {
  const { leases, held } = command;
  if (!service) return noService(command);
  return change(
    command,
    service,
    heldBy(service, leases),
    ({ status }) => ({ held, status: held ? "unknown" : status }),
  );
}

export function decideRelease(command: CommandOf<"release">, service: Service | undefined): Decision {
  if (!service) return noService(command);
  return remove(command, service, service.instances.filter((one) => one.held));
}

function heldBy({ instances }: Service, leases: CommandOf<"expire">["leases"]): readonly Instance[] {
  return instances.filter(({ lease }) => lease !== undefined && leases.has(lease));
}

function change(
  target: Target,
  service: Service,
  instances: readonly Instance[],
  wanted: (instance: Instance) => Partial<Instance>,
  whole = false,
): Decision {
  const others = instances.filter((one) => !sameInstance(one, { ...one, ...wanted(one) }));
  if (others.length === 0) return unchanged(latest(instances, service));
  return acceptEach(target, service, others, (one) => changed(one, wanted(one)), whole);
}

function remove(target: Target, service: Service | undefined, instances: readonly Instance[]): Decision {
  if (instances.length === 0) return unchanged(service?.modified ?? NO_REVISION);
  return acceptEach(target, service, instances, ({ id }) => ({ kind: "delete_instance", id }));
}

function latest(instances: readonly Instance[], service: Service) {
  if (instances.length === 0) return service.modified;
  return instances.reduce((most, { modified }) => modified > most ? modified : most, NO_REVISION);
}

function nameOf({ service }: Target, id: InstanceId): string {
  return `instance "${service}/${id}"`;
}

function noInstance(target: Target, service: Service | undefined, id: InstanceId): Refusal {
  if (!service) return noService(target);
  return refuse("not_found", `Cannot find ${nameOf(target, id)}: it does not exist`);
}

function sameInstance(a: Omit<Instance, "modified">, b: Omit<Instance, "modified">): boolean {
  const keys = Object.keys(a.metadata);
  return a.host === b.host && a.port === b.port && a.version === b.version && a.weight === b.weight &&
    a.zone === b.zone && a.hostId === b.hostId && a.enabled === b.enabled && a.draining === b.draining &&
    a.status === b.status && a.held === b.held && a.ttl === b.ttl && a.lease === b.lease &&
    keys.length === Object.keys(b.metadata).length && keys.every((key) => a.metadata[key] === b.metadata[key]);
}

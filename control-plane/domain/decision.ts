/** What is decided of a command, and how: shared by the deciders of all resources. */
import type { Change } from "./change.ts";
import { type Instance, MAX_INSTANCES, MAX_SERVICE_BYTES, type Service } from "./cluster_map.ts";
import { type AliasName, type InstanceId, NO_REVISION, type Realm, type Revision, type ServiceName } from "./names.ts";
import { type Refusal, refuse } from "./refusal.ts";

export type Decision = Acceptance | Unchanged | Refusal;

/** These changes, if what they rely on has not moved when they are committed. */
export interface Acceptance {
  readonly kind: "accept";
  readonly changes: readonly Change[];
  readonly relies: readonly Reliance[];
  /** It is not all of what was asked for: once this is committed, the rest is decided by the same command. */
  readonly more: boolean;
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

/** What a conditional write expects of its resource: to be at this revision (0: not to exist), or to exist. */
export type Expected = Revision | "exists";

/** Which service is decided of. */
export interface Target {
  readonly realm: Realm;
  readonly service: ServiceName;
}

type Without<T, K extends string> = T extends unknown ? Omit<T, K> : never;
/** A change or a reliance, its service left out. */
export type OfService = Without<Extract<Change, { readonly service: ServiceName }>, "realm" | "service">;
export type OfReliance = Without<Reliance, "realm" | "service">;

/** Most instances that one decision changes: commits stay small, also for stores that bound them. */
export const MOST_AT_ONCE = 40;

/** Writes to one service that may be under way at once, none of which knows of the others. */
export const MOST_WRITERS = 32;

interface Accepted {
  readonly changes: readonly OfService[];
  readonly relies?: readonly OfReliance[];
  readonly more?: boolean;
  /** By how many bytes they make the service larger. */
  readonly growth?: number;
}

/** Changes of a service that is there or begins with them. Its touch is written blindly: writers do not collide. */
export function accept(
  { realm, service: name }: Target,
  service: Service | undefined,
  { changes, relies = [], more = false, growth = 0 }: Accepted,
): Acceptance {
  const of = { realm, service: name };
  const touch = changes.some(({ kind }) => kind === "delete_service") ? [] : [{ kind: "touch_service" } as const];
  const all: OfReliance[] = [{ revision: service?.specModified ?? NO_REVISION }, ...relies];
  // A service that nears its bounds is not written blindly any more: what others add counts.
  if (service && isNear(service, growth)) all.push({ touch: true, revision: service.modified });
  return {
    kind: "accept",
    changes: [...changes, ...touch].map((one) => ({ ...one, ...of }) as Change),
    relies: all.map((one) => ({ ...one, ...of })),
    more,
  };
}

/**
 * A change of each of these instances, or of as many as one decision takes. `whole`: the others were looked at as well,
 * so they have to be as they were: two decisions that change some each would add up to what neither asked for.
 */
export function acceptEach(
  target: Target,
  service: Service | undefined,
  instances: readonly Instance[],
  changeOf: (instance: Instance) => OfService,
  whole = false,
): Acceptance {
  const now = instances.slice(0, MOST_AT_ONCE);
  return accept(target, service, {
    changes: now.map(changeOf),
    relies: [
      ...now.map(({ id, modified }): OfReliance => ({ instance: id, revision: modified })),
      ...(whole && service ? [{ touch: true, revision: service.modified } as const] : []),
    ],
    more: now.length < instances.length,
  });
}

/** That an instance becomes what it is, but for `wanted`. */
export function changed(instance: Instance, wanted: Partial<Instance>): OfService {
  const { modified: _, ...after } = { ...instance, ...wanted };
  return { kind: "put_instance", instance: after };
}

/** Whether all writes that are under way at once, each as large as this one, could take a service beyond its bounds. */
function isNear({ bytes, instances }: Service, growth: number): boolean {
  const far = MAX_SERVICE_BYTES / 4;
  return bytes > far || growth * MOST_WRITERS > MAX_SERVICE_BYTES - far || instances.length > MAX_INSTANCES / 4;
}

export function unchanged(revision: Revision): Unchanged {
  return { kind: "unchanged", revision };
}

export function noService({ realm, service }: Target): Refusal {
  return refuse("not_found", `Cannot find service "${service}" in realm "${realm}": it does not exist`);
}

/** Why a condition does not hold for the resource that `what` names, last changed at `modified`. */
export function moved(expected: Expected | undefined, modified: Revision | undefined, what: string) {
  if (expected === undefined) return undefined;
  if (expected === "exists" ? modified !== undefined : expected === (modified ?? NO_REVISION)) return undefined;
  const is = modified === undefined ? "it does not exist" : `it was last changed at revision ${modified}`;
  const should = expected === "exists"
    ? "expected it to exist"
    : expected === NO_REVISION
    ? "expected that it does not exist"
    : `expected revision ${expected}`;
  return refuse("moved", `Cannot change ${what}: ${is}, ${should}`);
}

/** The refusal of what would make a service too large to travel whole; `field` is what grows. */
export function tooLarge(target: Target, service: Service | undefined, growth: number, field: string) {
  // A write that makes a service smaller passes, whatever its size.
  if (growth <= 0 || (service?.bytes ?? 0) + growth <= MAX_SERVICE_BYTES) return undefined;
  return refuse("too_large", `Cannot make service "${target.service}" larger: it travels whole, in 1 MiB at most`, [
    { field, description: `expected a service of at most ${MAX_SERVICE_BYTES} bytes` },
  ]);
}

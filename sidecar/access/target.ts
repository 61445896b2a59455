/** Whom a request or connection was for, told from what HAProxy says when it has ended. Pure. */
import type { Service } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { HaproxyPlan } from "../routing/plan.ts";
import type { Ended } from "./ended.ts";

/** Whom a request or connection was for. */
export interface Target {
  readonly service: string;
  /** Unknown where no instance was chosen, and of one that is not on the map any more. */
  readonly version: number | undefined;
}

/** What is routed: the plan that HAProxy runs, and the services of the map that it was made of. */
export interface Routed {
  readonly plan: Pick<HaproxyPlan, "backends">;
  readonly services: ReadonlyMap<string, Service>;
}

/** `undefined` where no service was named that there is: no caller makes up a target. */
export function targetOf(
  { backend, server, frontend, request }: Ended,
  { plan, services }: Routed,
): Target | undefined {
  const held = plan.backends.get(backend);
  if (held) {
    const version = held.pool === "all" ? versionOf(services.get(held.service), server) : held.pool;
    return { service: held.service, version };
  }
  // Answered here, or by a backend that is gone: as it was called.
  const called = request?.route ?? /^local\.(.+)$/.exec(frontend)?.[1] ?? "";
  const [, name, service = ""] = /^(?:([^.]+)\.)?([^.]+)$/.exec(called) ?? [];
  if (!services.has(service)) return undefined;
  const version = Number(/^v([0-9]+)$/.exec(name ?? "")?.[1]);
  return { service, version: version > 0 ? version : undefined };
}

/** The version of an instance; `undefined` if the service has no such instance any more. */
export function versionOf(service: Service | undefined, instance: string | undefined): number | undefined {
  if (!service || instance === undefined) return undefined;
  let versions = known.get(service);
  if (!versions) known.set(service, versions = new Map(service.instances.map(({ id, version }) => [id, version])));
  return versions.get(instance);
}

/** A service that has not changed is the same object from map to map. */
const known = new WeakMap<Service, ReadonlyMap<string, number>>();

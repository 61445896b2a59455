import type { Service } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";

/** Ids of the instances that calls may go to: enabled, not draining, of some weight, whatever is observed of them. */
export function callableOf(service: Service | undefined): ReadonlySet<string> {
  if (!service) return NOBODY;
  let ids = known.get(service);
  if (!ids) known.set(service, ids = new Set(callable(service)));
  return ids;
}

const NOBODY: ReadonlySet<string> = new Set();
/** A service that has not changed is the same object from map to map. */
const known = new WeakMap<Service, ReadonlySet<string>>();

function callable({ enabled, instances }: Service): readonly string[] {
  return instances.filter((one) => enabled && one.enabled && !one.draining && one.weight > 0).map(({ id }) => id);
}

import type { Service } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { HaproxyPlan } from "./plan.ts";

/** Addresses that a plan uses for the hosts of a map, by host. */
export function addressesOf(
  services: ReadonlyMap<string, Service>,
  { backends }: HaproxyPlan,
): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const { service, servers } of backends.values()) {
    for (const { id, host } of services.get(service)?.instances ?? []) {
      const address = servers.get(id)?.host;
      if (address !== undefined) found.set(host, address);
    }
  }
  return found;
}

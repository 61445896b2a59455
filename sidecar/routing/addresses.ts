import type { Service } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { type HaproxyPlan, instanceOf } from "./plan.ts";

/** Addresses that a plan uses for the hosts of a map, by host. */
export function addressesOf(
  services: ReadonlyMap<string, Service>,
  { backends }: HaproxyPlan,
): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const { service, servers } of backends.values()) {
    const byId = new Map(Array.from(servers.values(), (server) => [instanceOf(server.name), server.host]));
    for (const { id, host } of services.get(service)?.instances ?? []) {
      const address = byId.get(id);
      if (address !== undefined) found.set(host, address);
    }
  }
  return found;
}

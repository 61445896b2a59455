/** A control plane in memory for tests of the transports, with clients of it. */
import { startControlPlane } from "../main.ts";
import { loadControlPlaneSettings } from "../settings.ts";
import { createClient } from "../../proto/grpc.ts";
import { type Log, SILENT } from "../../proto/log.ts";
import { formatAddress } from "../../proto/settings.ts";
import { DiscoveryService } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { FleetService } from "../../proto/gen/portolan/v1/fleet_pb.ts";
import { RegistryService } from "../../proto/gen/portolan/v1/registry_pb.ts";

export async function testControlPlane(log: Log = SILENT) {
  const args = ["--store", "memory:", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"];
  const loaded = loadControlPlaneSettings({ args, env: {} });
  if (loaded.kind !== "settings") throw new Error(JSON.stringify(loaded));
  const running = await startControlPlane(loaded.settings, log);
  const target = formatAddress(running.grpc);
  const clients = [DiscoveryService, RegistryService, FleetService].map((service) => createClient(service, target));
  const [discovery, registry, fleet] = clients as [
    ReturnType<typeof createClient<typeof DiscoveryService>>,
    ReturnType<typeof createClient<typeof RegistryService>>,
    ReturnType<typeof createClient<typeof FleetService>>,
  ];
  return {
    discovery,
    registry,
    fleet,
    url: `http://${formatAddress(running.http)}/api/v1/realms/local`,
    register: (service: string, id = "i", port = 1) =>
      registry.register({ realm: "local", service, id, instance: { host: "127.0.0.1", port } }),
    stop: () => running[Symbol.asyncDispose](),
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.close();
      await running[Symbol.asyncDispose]();
    },
  };
}

/**
 * Instances of services on a host, kept on the map as programs do that use the SDK. Each request that arrives is printed
 * before it is answered.
 */
import { createLog } from "../../../proto/log.ts";
import { register } from "../../../sdk-ts/register.ts";
import type { Arrival } from "../requests.ts";
import { openDoor } from "./door.ts";

export interface InstancesOptions {
  readonly host: string;
  readonly zone: string;
  readonly address: string;
  /** `host:port` of gRPC. */
  readonly controlPlane: string;
  /** Without a ttl its instance is permanent. */
  readonly services: readonly { readonly name: string; readonly ttlMs?: number }[];
  /** Of the door into the host's network. */
  readonly socket: string;
}

export const INSTANCES = "tests/netns/inside/instances.ts";

if (import.meta.main) {
  const options: InstancesOptions = JSON.parse(Deno.args[0] ?? "");
  const log = createLog("instances");
  openDoor(options.socket);
  await Promise.all(options.services.map((service) => start(options, service, log)));
  log.info("Serving", { instances: options.services.length });
}

async function start(
  { host, zone, address, controlPlane }: InstancesOptions,
  { name, ttlMs }: InstancesOptions["services"][number],
  log: ReturnType<typeof createLog>,
): Promise<void> {
  const answer = { instance: `${name}/${host}` };
  const server = Deno.serve({ hostname: address, port: 0, onListen() {} }, async ({ headers, url }) => {
    const arrival: Arrival = { id: headers.get("x-request-id") ?? "", at: Date.now(), ...answer };
    console.log(JSON.stringify(arrival));
    const ms = Number(new URL(url).searchParams.get("ms"));
    if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
    return Response.json(answer);
  });
  const { port } = server.addr;
  const instance = { host: address, port, zone, hostId: host, ...(ttlMs !== undefined && { ttlMs }) };
  await register({ controlPlanes: [controlPlane], realm: "local", service: name, id: host, instance, log });
}

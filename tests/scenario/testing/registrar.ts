/** The registrar of a host, with a folder of services, a data folder, and a map that it follows. */
import { join } from "node:path";
import type { Log } from "../../../proto/log.ts";
import { SILENT } from "../../../proto/log.ts";
import type { Service } from "../../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { Follower_Kind } from "../../../proto/gen/portolan/v1/discovery_pb.ts";
import { follow } from "../../../sdk-ts/follow.ts";
import { Registrar } from "../../../sidecar/registrar/registrar.ts";

export interface HostFolders extends AsyncDisposable {
  readonly services: string;
  readonly data: string;
  /** Puts files in place, each whole; `undefined` removes one. */
  write(files: Readonly<Record<string, object | string | undefined>>): Promise<void>;
}

export async function hostFolders(): Promise<HostFolders> {
  const folder = await Deno.makeTempDir({ prefix: "host-" });
  const [services, data] = [join(folder, "services"), join(folder, "data")];
  for (const path of [services, data]) await Deno.mkdir(path);
  return {
    services,
    data,
    async write(files) {
      for (const [name, said] of Object.entries(files)) {
        const path = join(services, name);
        if (said === undefined) await Deno.remove(path);
        else {
          const fresh = join(services, `.${name}`);
          await Deno.writeTextFile(fresh, typeof said === "string" ? said : JSON.stringify(said));
          await Deno.rename(fresh, path);
        }
      }
    },
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

export interface RegistrarSetup {
  /** `host:port` of the control plane. */
  readonly target: string;
  readonly folders: Pick<HostFolders, "services" | "data">;
  readonly hostId?: string;
  readonly zone?: string;
  /** Short: tests wait for one to run out. */
  readonly ttlMs?: number;
  readonly leavesForGood?: boolean;
  readonly log?: Log;
}

/** Ends as a sidecar does that is stopped. */
export async function startRegistrar(
  { target, folders, hostId = "h1", zone, ttlMs = 2_000, leavesForGood = false, log = SILENT }: RegistrarSetup,
): Promise<Registrar> {
  let services: ReadonlyMap<string, Service> = new Map();
  const following = follow({
    controlPlanes: [target],
    scope: { realm: "local", services: [] },
    follower: { id: hostId, kind: Follower_Kind.SDK, program: "test/1", zone: zone ?? "" },
  });
  const followed = (async () => {
    for await (const snapshot of following) services = snapshot.services;
  })();
  const registrar = await Registrar.start({
    servicesDir: folders.services,
    dataFolder: folders.data,
    realm: "local",
    controlPlanes: [target],
    home: { hostId, ...(zone !== undefined && { zone }), advertise: "127.0.0.1" },
    serviceOf: (name) => services.get(name),
    isMapKnown: () => following.heardAt !== undefined,
    leavesForGood,
    log,
    ttlMs,
  });
  const end = registrar[Symbol.asyncDispose].bind(registrar);
  registrar[Symbol.asyncDispose] = async () => {
    await end();
    await following[Symbol.asyncDispose]();
    await followed;
  };
  return registrar;
}

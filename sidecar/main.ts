/** The sidecar: follows the cluster map and keeps a local HAProxy in step with it. */
import { Follower_Kind } from "../proto/gen/portolan/v1/discovery_pb.ts";
import { createLog, type Log } from "../proto/log.ts";
import { type Address, describeFlags, formatAddress } from "../proto/settings.ts";
import { follow } from "../sdk-ts/follow.ts";
import { createAdmin } from "./admin.ts";
import { DataFolder } from "./data_folder.ts";
import { TIMEOUTS } from "./egress.ts";
import { Haproxy } from "./haproxy.ts";
import { Reconciler } from "./reconcile.ts";
import { FLAGS, loadSidecarSettings, type SidecarSettings } from "./settings.ts";
import { endStray } from "./stray.ts";

const USAGE = `Follows the cluster map and routes calls of this host by it, through HAProxy.

Usage: portolan sidecar --host-id ID --stop-haproxy [FLAG…]

${describeFlags(FLAGS)}  --config FILE  the same settings as a JSON object

Example: portolan sidecar --realm local --data .portolan/sidecar --host-id laptop --stop-haproxy
`;

/** Serves until the signal; then nothing is left, no process and no socket. */
export async function serve(settings: SidecarSettings, log: Log, signal: AbortSignal): Promise<void> {
  using data = await DataFolder.open(settings.data);
  await endStray(data, log);
  const { realm, egress, services } = settings;
  await using following = follow({
    controlPlanes: settings.controlPlane,
    scope: { realm, services },
    follower: {
      id: settings.hostId,
      kind: Follower_Kind.SIDECAR,
      program: "portolan-sidecar/0",
      zone: settings.zone ?? "",
    },
    log,
  });
  await using haproxy = new Haproxy({ data, log, onRestart: () => reconciler.poke() });
  const reconciler: Reconciler = new Reconciler({
    following,
    haproxy,
    egress: { realm, egress, timeouts: TIMEOUTS },
    log,
  });
  const app = createAdmin({ realm, egress: formatAddress(egress), reconciler, haproxy, following });
  await using _admin = listen(settings.admin, app.fetch, log);
  await reconciler.run(signal);
  log.info("stopping");
}

function listen({ host, port }: Address, handler: Deno.ServeHandler, log: Log): AsyncDisposable {
  const onListen = ({ hostname, port }: Deno.NetAddr) =>
    log.info("admin listens", { address: formatAddress({ host: hostname, port }) });
  return Deno.serve({ hostname: host, port, onListen }, handler);
}

/** The command line's end of it. Answers with the exit code: 0 done, 1 failed, 2 wrong usage. */
async function main(args: readonly string[]): Promise<number> {
  const loaded = loadSidecarSettings({ args, env: Deno.env.toObject(), readFile: Deno.readTextFileSync });
  if (loaded.kind === "help") {
    console.log(USAGE.trimEnd());
    return 0;
  }
  if (loaded.kind === "problems") {
    for (const problem of loaded.problems) console.error(problem);
    return 2;
  }
  const log = createLog("sidecar");
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => stop.abort());
  try {
    await serve(loaded.settings, log, stop.signal);
    return 0;
  } catch (error) {
    log.error((error as Error).message);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));

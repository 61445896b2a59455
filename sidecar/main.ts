/** The sidecar: follows the cluster map and keeps a local HAProxy in step with it. */
import { Follower_Kind } from "../proto/gen/portolan/v1/discovery_pb.ts";
import { VERSION } from "../proto/version.ts";
import { createLog, type Log } from "../proto/log.ts";
import { type Address, COMMON, describeFlags, formatAddress } from "../proto/settings.ts";
import { follow } from "../sdk-ts/follow.ts";
import { createAdmin } from "./admin.ts";
import { DataFolder } from "./haproxy/data_folder.ts";
import { TIMEOUTS } from "./config/print_egress.ts";
import { Haproxy } from "./haproxy/haproxy.ts";
import { Reconciler } from "./reconcile.ts";
import { FLAGS, loadSidecarSettings, type SidecarSettings } from "./settings.ts";
import { endStray } from "./haproxy/stray.ts";

/** Serves until the signal; then nothing is left, no process and no socket. Throws what keeps it from serving. */
export async function runSidecar(settings: SidecarSettings, log: Log, signal: AbortSignal): Promise<void> {
  const { realm, egress, services, hostId, zone = "" } = settings;
  using data = await DataFolder.open(settings.data);
  await endStray(data, log);
  const following = follow({
    controlPlanes: settings.controlPlane,
    scope: { realm, services },
    follower: { id: hostId, kind: Follower_Kind.SIDECAR, program: `portolan-sidecar/${VERSION}`, zone },
    log,
  });
  // After HAProxy, which goes by the map until it has ended. Then nobody needs to wait for this host any more.
  await using _ = {
    [Symbol.asyncDispose]: () => settings.stopHaproxy ? following.leave() : following[Symbol.asyncDispose](),
  };
  await using haproxy = new Haproxy({ data, log, onRestart: () => reconciler.poke() });
  const reconciler: Reconciler = new Reconciler({
    following,
    haproxy,
    egress: { realm, egress, timeouts: TIMEOUTS },
    log,
  });
  const admin = createAdmin({ realm, egress: formatAddress(egress), reconciler, haproxy, following });
  await using listener = listen(settings.admin, admin.fetch);
  log.info("Serving", { realm, egress: formatAddress(egress), admin: listener.address });
  await reconciler.run(signal);
  log.info("Stopping");
}

function listen({ host, port }: Address, handler: Deno.ServeHandler): AsyncDisposable & { readonly address: string } {
  const stop = new AbortController();
  const server = Deno.serve({ hostname: host, port, signal: stop.signal, onListen() {} }, handler);
  const address = formatAddress({ host: server.addr.hostname, port: server.addr.port });
  const end = () => {
    // At once: nobody is waited for who only asks how it goes.
    stop.abort();
    return server.finished;
  };
  return { address, [Symbol.asyncDispose]: end };
}

const HELP = `The sidecar: follows the cluster map and routes this host's calls by it, through a HAProxy of its own.

Usage: ./portolan sidecar --host-id ID --stop-haproxy [flags]

${describeFlags({ ...FLAGS, ...COMMON })}
Example: ./portolan sidecar --realm testing --host-id web-1 --zone a --control-plane 10.0.0.1:7401 --stop-haproxy
`;

async function main(): Promise<number> {
  const loaded = loadSidecarSettings({ args: Deno.args, env: Deno.env.toObject(), readFile: Deno.readTextFileSync });
  if (loaded.kind === "help") {
    console.log(HELP);
    return 0;
  }
  if (loaded.kind === "problems") {
    for (const problem of loaded.problems) console.error(`portolan sidecar: ${problem}`);
    console.error("portolan sidecar: see ./portolan sidecar --help");
    return 2;
  }
  const stop = new AbortController();
  // Every further signal finds the stop under way: it is bounded, and cut short it would leave HAProxy behind.
  for (const signal of ["SIGINT", "SIGTERM"] as const) Deno.addSignalListener(signal, () => stop.abort());
  try {
    await runSidecar(loaded.settings, createLog("sidecar"), stop.signal);
    return 0;
  } catch (error) {
    console.error(`portolan sidecar: ${(error as Error).message}`);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main());

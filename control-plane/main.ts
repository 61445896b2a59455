/** The control plane: wires store, hub, application and transports, and runs until it is told to stop. */
import { join } from "node:path";
import { CLOCK, type Clock } from "./app/clock.ts";
import { startExpiry } from "./app/expiry.ts";
import { Fleet } from "./app/fleet.ts";
import { history } from "./app/history.ts";
import { type MapObserver, openHub } from "./app/hub.ts";
import { importRealm } from "./app/import.ts";
import { Leases } from "./app/leases.ts";
import { Operations } from "./app/operations.ts";
import { Quota } from "./app/quota.ts";
import { Reading } from "./app/reading.ts";
import type { Telemetry } from "./app/telemetry.ts";
import { startRetention } from "./app/retention.ts";
import { type ControlPlaneSettings, FLAGS, loadControlPlaneSettings } from "./settings.ts";
import { openMemoryStore } from "./store/memory.ts";
import { openSqliteStore } from "./store/sqlite.ts";
import type { Store } from "./store/store.ts";
import { serveGrpc } from "./transport/grpc.ts";
import { serveHttp } from "./transport/http.ts";
import type { Ports } from "./transport/ports.ts";
import { openTelemetry } from "./telemetry.ts";
import { createLog, type Log } from "../proto/log.ts";
import { type Address, COMMON, describeFlags, formatAddress } from "../proto/settings.ts";

export interface ControlPlane extends AsyncDisposable {
  readonly http: Address;
  readonly grpc: Address;
}

/**
 * Answers when everything is served. Disposing ends watches with UNAVAILABLE, lets writes finish, closes the store.
 * `clock` is for tests that need another time.
 */
export async function startControlPlane(
  settings: ControlPlaneSettings,
  log: Log,
  clock: Clock = CLOCK,
): Promise<ControlPlane> {
  await using started = new AsyncDisposableStack();
  const telemetry = started.use(await openTelemetry(Deno.env.toObject(), log));
  const store = started.use(telemetry.measureCommits(openStore(settings)));
  const leases = new Leases(clock);
  const hub = started.use(await openHub({ store, log, now: clock.wall, observer: noticed(leases, telemetry) }));
  const operations = new Operations({ store, hub, leases, clock, log, telemetry });
  const reading = new Reading({ store, hub, operations, log });
  const fleet = started.use(await Fleet.open({ store, hub, clock, log }));
  started.use(startExpiry({ leases, operations, clock, log }));
  started.use(startRetention({ store, hub, clock, log }));
  telemetry.reads({
    map: () => hub.current(),
    watchers: () => hub.watchers,
    owed: () => hub.owed,
    leases: () => leases.size,
  });
  const ports: Ports = {
    telemetry,
    operations,
    reading,
    leases,
    fleet,
    history: (query) => history(store, query),
    importRealm: (...how) => importRealm({ store, hub, operations, clock }, ...how),
    ...(store.backup && { backup: (path: string) => store.backup!(path) }),
    requests: new Quota(settings.maxRequests, "requests"),
    watches: new Quota(settings.maxWatches, "watches"),
    log,
  };
  const grpc = started.use(await serveGrpc(ports, settings.grpc));
  const http = started.use(serveHttp(ports, settings.http));
  const running = started.move();
  return { http: http.address, grpc: grpc.address, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** Leases see every move of the map, and telemetry when it was. */
function noticed(leases: Leases, telemetry: Telemetry): MapObserver {
  return {
    reset: (map) => leases.reset(map),
    take(before, changes) {
      telemetry.moved();
      leases.take(before, changes);
    },
  };
}

function openStore({ store, data }: ControlPlaneSettings): Store {
  if (store.kind === "memory") return openMemoryStore();
  Deno.mkdirSync(data, { recursive: true });
  return openSqliteStore(store.path ?? join(data, "map.sqlite"));
}

const HELP = `The control plane: keeps the cluster map and serves it over gRPC and HTTP.

Usage: ./portolan control-plane [flags]

${describeFlags({ ...FLAGS, ...COMMON })}
Example: ./portolan control-plane --data /var/lib/portolan
`;

async function main(): Promise<number> {
  const loaded = loadControlPlaneSettings({
    args: Deno.args,
    env: Deno.env.toObject(),
    readFile: (path) => Deno.readTextFileSync(path),
  });
  if (loaded.kind === "help") return console.log(HELP), 0;
  if (loaded.kind === "problems") {
    for (const problem of loaded.problems) console.error(`portolan control-plane: ${problem}`);
    console.error("portolan control-plane: see ./portolan control-plane --help");
    return 2;
  }
  const log = createLog("control-plane");
  try {
    await using controlPlane = await startControlPlane(loaded.settings, log);
    const { http, grpc } = controlPlane;
    log.info("Serving", { http: formatAddress(http), grpc: formatAddress(grpc) });
    log.info("Stopping", { signal: await stopSignal() });
  } catch (error) {
    console.error(`portolan control-plane: ${(error as Error).message}`);
    return 1;
  }
  return 0;
}

/** The first SIGINT, SIGTERM or SIGHUP; the next one ends the program at once, as if nobody listened. */
function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
    const stop = (signal: string) => () => {
      for (const one of signals) Deno.removeSignalListener(one, listeners[one]);
      resolve(signal);
    };
    const listeners = { SIGINT: stop("SIGINT"), SIGTERM: stop("SIGTERM"), SIGHUP: stop("SIGHUP") };
    for (const one of signals) Deno.addSignalListener(one, listeners[one]);
  });
}

if (import.meta.main) Deno.exit(await main());

import { join } from "node:path";
import type { Position } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { Follower_Kind } from "../proto/gen/portolan/v1/discovery_pb.ts";
import type { Log } from "../proto/log.ts";
import { comparePositions } from "../proto/position.ts";
import { type Address, formatAddress } from "../proto/settings.ts";
import { VERSION } from "../proto/version.ts";
import { follow, type Following, type FollowOptions, type SavedSnapshot, type Snapshot } from "../sdk-ts/follow.ts";
import { accessLine } from "./access/access_line.ts";
import { AccessListener } from "./access/access_listener.ts";
import { type AccessLog, openAccessLog } from "./access/access_log.ts";
import { callableOf } from "./access/callable.ts";
import { Ejecting } from "./access/ejecting.ts";
import type { Ended } from "./access/ended.ts";
import { targetOf } from "./access/target.ts";
import { createAdmin } from "./admin/admin.ts";
import { Measures } from "./admin/measures.ts";
import type { AdminSources } from "./admin/sources.ts";
import { ACCESS_SOCKET } from "./config/names.ts";
import { TIMEOUTS } from "./config/print_base.ts";
import type { EgressSettings } from "./config/print_egress.ts";
import { pointOf } from "./config/seal.ts";
import { DataFolder } from "./haproxy/data_folder.ts";
import { Haproxy } from "./haproxy/haproxy.ts";
import { whyTaken } from "./haproxy/new_ports.ts";
import { Reconciler } from "./reconcile.ts";
import { Registrar } from "./registrar/registrar.ts";
import { SavedMap } from "./saved_map.ts";
import type { SidecarSettings } from "./settings.ts";
import { takeOver } from "./take_over.ts";

/**
 * Serves until the signal. HAProxy ends with it, or goes on, as the settings say; nothing else is left. Throws what keeps
 * it from serving.
 */
export async function runSidecar(settings: SidecarSettings, log: Log, signal: AbortSignal): Promise<void> {
  const { realm, stopHaproxy } = settings;
  const egress: EgressSettings = { realm, egress: settings.egress, timeouts: TIMEOUTS };
  // All of it ends backwards: the map is followed, and what has ended is heard of, until HAProxy has ended.
  await using used = new AsyncDisposableStack();
  const data = used.use(await DataFolder.open(settings.data));
  const accessLog = used.use(await openAccessLog(settings.accessLog, log));
  const parts: Parts = { heard() {} };
  const onEnded = (ended: Ended) => parts.heard(ended);
  used.use(await AccessListener.listen({ path: join(data.path, ACCESS_SOCKET), log, onEnded }));
  const savedMap = used.use(
    new SavedMap({ folder: data.path, scope: scopeOf(settings), heardAt: () => parts.following?.heardAt, log }),
  );
  used.defer(async () => await (stopHaproxy ? parts.following?.leave() : parts.following?.[Symbol.asyncDispose]()));
  const onRestart = () => parts.reconciler?.look();
  const haproxy = used.use(new Haproxy({ data, log, stopWithSidecar: stopHaproxy, onRestart }));

  const left = await takeOver({ data, haproxy, egress, log });
  const loaded = await savedMap.load();
  // A map older than what runs would take back what has been applied.
  const saved = loaded.kind === "map" && isAsNew(loaded.saved.position, data.installed?.position) ? loaded : undefined;
  const following = parts.following = followAs(settings, { saved: saved?.saved, keepAsking: left !== undefined, log });
  const ejecting = used.use(ejectingOf(haproxy, parts, log));
  const reconciler = parts.reconciler = new Reconciler({
    following,
    haproxy,
    data,
    egress,
    log,
    ...(left && { running: left }),
    isEjected: (service, id) => ejecting.isEjected(service, id),
    onApplied: (snapshot) => {
      savedMap.save(snapshot);
      parts.snapshot = snapshot;
      parts.measures?.applied(snapshot);
    },
    oldWorkers: async () => (await haproxy.oldWorkers()).length,
  });
  parts.heard = (ended) => heard(ended, { parts, ejecting, accessLog, reconciler });
  const registrar = used.use(await registrarOf(settings, { data, following, reconciler, log }));
  const sources: AdminSources = {
    ...{ realm, egress: formatAddress(settings.egress), hostId: settings.hostId, zone: settings.zone },
    ...{ reconciler, haproxy, following, left, ejecting, accessLog, registrar, log },
    saved: loaded.kind === "map" ? loaded : undefined,
    snapshot: () => parts.snapshot,
  };
  parts.measures = new Measures(sources);
  const admin = createAdmin(sources, parts.measures);
  const listener = used.use(listen(settings.admin, admin.fetch));
  log.info("Serving", { realm, egress: formatAddress(settings.egress), admin: listener.address });
  await reconciler.run(signal);
  log.info("Stopping");
}

interface Hearing {
  readonly parts: Parts;
  readonly ejecting: Ejecting;
  readonly accessLog: AccessLog;
  readonly reconciler: Reconciler;
}

function heard(ended: Ended, { parts, ejecting, accessLog, reconciler }: Hearing): void {
  const target = targetOf(ended, reconciler.routed);
  ejecting.heard(ended);
  parts.measures?.heard(ended, target);
  if (accessLog.isOn) accessLog.add(accessLine(ended, target));
}

/** `undefined` where no services are to be registered. */
async function registrarOf(
  { servicesDir, realm, controlPlane, hostId, zone, advertise = "127.0.0.1", stopHaproxy }: SidecarSettings,
  { data, following, reconciler, log }: { data: DataFolder; following: Following; reconciler: Reconciler; log: Log },
): Promise<Registrar | undefined> {
  if (servicesDir === undefined) return undefined;
  return await Registrar.start({
    servicesDir,
    dataFolder: data.path,
    realm,
    controlPlanes: controlPlane,
    home: { hostId, ...(zone !== undefined && { zone }), advertise },
    serviceOf: (name) => reconciler.routed.services.get(name),
    isMapKnown: () => following.heardAt !== undefined,
    leavesForGood: stopHaproxy,
    log,
  });
}

/** What is there later than those who may have to tell it something. */
interface Parts {
  heard(ended: Ended): void;
  following?: Following;
  reconciler?: Reconciler;
  snapshot?: Snapshot;
  measures?: Measures;
}

function scopeOf({ realm, services }: SidecarSettings): FollowOptions["scope"] {
  return { realm, services };
}

interface Held {
  readonly saved: SavedSnapshot | undefined;
  readonly keepAsking: boolean;
  readonly log: Log;
}

function followAs(settings: SidecarSettings, { saved, ...more }: Held): Following {
  const { controlPlane, hostId, zone = "" } = settings;
  return follow({
    controlPlanes: controlPlane,
    scope: scopeOf(settings),
    follower: { id: hostId, kind: Follower_Kind.SIDECAR, program: `portolan-sidecar/${VERSION}`, zone },
    ...(saved && { saved }),
    ...more,
  });
}

/** Whether a saved map is not older than the one that HAProxy's files say. */
function isAsNew(saved: Position, filed = "none"): boolean {
  return comparePositions(saved, pointOf(filed)) >= 0;
}

function ejectingOf(haproxy: Haproxy, parts: Parts, log: Log): Ejecting {
  return new Ejecting({
    serviceOf: (slot) => parts.reconciler?.routed.plan.backends.get(slot)?.service,
    instancesOf: (service) => callableOf(parts.reconciler?.routed.services.get(service)),
    connectFailures: (slot) => haproxy.connectFailures(slot),
    onChange: (service) => parts.reconciler?.look([service]),
    log,
  });
}

function listen({ host, port }: Address, handler: Deno.ServeHandler): AsyncDisposable & { readonly address: string } {
  const taken = whyTaken({ hostname: host, port });
  if (taken !== undefined) throw new Error(`Cannot listen on ${formatAddress({ host, port })} (--admin): ${taken}`);
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

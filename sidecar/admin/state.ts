/** What a sidecar is doing, as JSON for people and programs: unknown is null, a revision a string. */
import { VERSION } from "../../proto/version.ts";
import type { OldWorkerState } from "../haproxy/old_workers.ts";
import type { AdminSources } from "./sources.ts";

/** Why calls are not served; a control plane is not needed for that once there is a map. */
export function notReady({ reconciler, haproxy, following, left }: AdminSources): readonly string[] {
  if (!reconciler.applied && !left) {
    return [following.connected ? "the first map is not applied yet" : "the control plane has not answered yet"];
  }
  if (haproxy.workerPid > 0) return [];
  return [haproxy.down === undefined ? "HAProxy does not run" : `HAProxy does not run: ${haproxy.down}`];
}

export async function stateOf(sources: AdminSources) {
  const { realm, egress, hostId, zone, reconciler, haproxy, ejecting, accessLog, registrar } = sources;
  const { reloads, refused, running } = reconciler;
  return {
    realm,
    egress,
    hostId,
    zone: zone ?? null,
    version: VERSION,
    startedAt: new Date(performance.timeOrigin).toISOString(),
    map: mapState(sources),
    refused,
    reloads: {
      count: reloads.count,
      newest: reloads.newest.map(({ at, reasons }) => ({
        at: at.toISOString(),
        reasons: reasons.map(({ text }) => text),
      })),
      waits: reloads.waits ?? null,
    },
    haproxy: {
      workerPid: haproxy.workerPid,
      masterPid: haproxy.masterPid ?? null,
      down: haproxy.down ?? null,
      adopted: haproxy.adopted,
      loads: haproxy.loads,
      oldWorkers: (await oldWorkersOf(sources)).map((one) => ({ ...one, connections: one.connections ?? null })),
      longStreamsCut: haproxy.longStreamsCut,
    },
    spares: running?.spares.length ?? 0,
    ejected: ejecting.ejected,
    accessLog: { dropped: accessLog.dropped },
    registrar: registrar ? { instances: registrar.instances, problems: registrar.problems } : null,
  };
}

/** Nobody waits longer for what a master says that hangs. */
const OLD_WORKERS_WITHIN_MS = 500;

/** The workers that were replaced and still have connections. */
export function oldWorkersOf({ haproxy }: AdminSources): Promise<readonly OldWorkerState[]> {
  // Nobody is waited for who does not run.
  return haproxy.workerPid === 0 ? Promise.resolve([]) : haproxy.oldWorkers(OLD_WORKERS_WITHIN_MS);
}

/** How long ago a control plane last said that this is the map, in ms; `undefined` if none ever did. */
export function mapAgeMs({ following, saved }: AdminSources): number | undefined {
  const heardAt = following.heardAt ?? saved?.heardAt;
  return heardAt === undefined ? undefined : Math.max(0, Date.now() - heardAt);
}

function mapState(sources: AdminSources) {
  const { reconciler: { applied }, following, saved } = sources;
  const heardAt = following.heardAt ?? saved?.heardAt;
  return {
    applied: applied ? { epoch: String(applied.epoch), revision: String(applied.revision) } : null,
    heardAt: heardAt === undefined ? null : new Date(heardAt).toISOString(),
    ageMs: mapAgeMs(sources) ?? null,
    from: mapFrom(sources),
    controlPlane: following.controlPlane ?? null,
    connected: following.connected,
  };
}

/** Where that comes from which is routed by. */
function mapFrom({ reconciler, following, left }: AdminSources): "control plane" | "disk" | "files" | null {
  if (reconciler.applied) return following.heardAt === undefined ? "disk" : "control plane";
  return left ? "files" : null;
}

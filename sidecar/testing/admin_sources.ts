/** What the sidecar's own HTTP tells of, without a sidecar: each test says what has happened. */
import { SILENT } from "../../proto/log.ts";
import type { AdminSources } from "../admin/sources.ts";
import { EMPTY_PLAN } from "../routing/plan.ts";

type Writable<T> = { -readonly [K in keyof T]: T[K] };

export interface FakeSources extends Writable<AdminSources> {
  readonly reconciler: Writable<AdminSources["reconciler"]> & {
    readonly reloads: Writable<AdminSources["reconciler"]["reloads"]>;
  };
  readonly haproxy: Writable<AdminSources["haproxy"]>;
  readonly following: Writable<AdminSources["following"]>;
}

/** Of a sidecar in which nothing has happened yet. */
export function fakeSources(): FakeSources {
  return {
    realm: "local",
    egress: "127.0.0.1:7410",
    hostId: "rack1",
    zone: undefined,
    reconciler: {
      applied: undefined,
      refused: [],
      running: undefined,
      routed: { plan: EMPTY_PLAN, services: new Map() },
      reloads: { count: 0, newest: [], waits: undefined },
      resolver: { lookups: 0, failedLookups: 0 },
    },
    haproxy: {
      workerPid: 0,
      masterPid: undefined,
      down: undefined,
      adopted: false,
      loads: 0,
      longStreamsCut: 0,
      statistics: () => Promise.reject(new Error("it hangs")),
      oldWorkers: () => Promise.resolve([]),
    },
    following: { connected: false, controlPlane: undefined, heardAt: undefined },
    left: undefined,
    saved: undefined,
    snapshot: () => undefined,
    ejecting: { ejected: [], isEjected: () => false },
    accessLog: { dropped: 0 },
    registrar: undefined,
    log: SILENT,
  };
}

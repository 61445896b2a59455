/** What the sidecar's own HTTP tells of: exactly what is read of each part. */
import type { Log } from "../../proto/log.ts";
import type { Following, Snapshot } from "../../sdk-ts/follow.ts";
import type { AccessLog } from "../access/access_log.ts";
import type { Ejecting } from "../access/ejecting.ts";
import type { Haproxy } from "../haproxy/haproxy.ts";
import type { OldWorkerState } from "../haproxy/old_workers.ts";
import type { Reconciler } from "../reconcile.ts";

export interface AdminSources {
  readonly realm: string;
  /** Where this host's programs call. */
  readonly egress: string;
  readonly hostId: string;
  readonly zone: string | undefined;
  readonly reconciler: Pick<Reconciler, "applied" | "refused" | "running" | "routed"> & {
    readonly reloads: Pick<Reconciler["reloads"], "count" | "newest" | "waits">;
    readonly resolver: Pick<Reconciler["resolver"], "lookups" | "failedLookups">;
  };
  readonly haproxy: HaproxySource;
  readonly following: Pick<Following, "connected" | "controlPlane" | "heardAt">;
  /** The files of HAProxy that this process began with. */
  readonly left: { readonly position: string } | undefined;
  /** The saved map that this process found. One that is older than what runs is not routed by, but says when it was heard. */
  readonly saved: { readonly heardAt: number } | undefined;
  /** The map that is applied. */
  readonly snapshot: () => Snapshot | undefined;
  readonly ejecting: Pick<Ejecting, "ejected" | "isEjected">;
  readonly accessLog: Pick<AccessLog, "dropped">;
  /** `undefined` where no services are registered from files. */
  readonly registrar: { readonly instances: readonly unknown[]; readonly problems: readonly unknown[] } | undefined;
  readonly log: Log;
}

export interface HaproxySource
  extends Pick<Haproxy, "workerPid" | "masterPid" | "down" | "adopted" | "loads" | "longStreamsCut" | "statistics"> {
  /** As they were before, where asking takes longer. */
  oldWorkers(withinMs: number): Promise<readonly OldWorkerState[]>;
}

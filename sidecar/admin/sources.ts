/** What the sidecar's own HTTP tells of: exactly what is read of each part. */
import type { Log } from "../../proto/log.ts";
import type { Following, Snapshot } from "../../sdk-ts/follow.ts";
import type { AccessLog } from "../access/access_log.ts";
import type { Ejecting } from "../access/ejecting.ts";
import type { OldWorkerState } from "../haproxy/old_workers.ts";
import type { Reconciler } from "../reconcile.ts";

export interface AdminSources {
  readonly realm: string;
  /** Where this host's programs call. */
  readonly egress: string;
  readonly hostId?: string;
  readonly zone?: string;
  readonly reconciler: Pick<Reconciler, "applied" | "refused" | "running" | "routed"> & {
    readonly reloads: Pick<Reconciler["reloads"], "count" | "newest" | "waits">;
  };
  readonly haproxy: HaproxySource;
  readonly following: Pick<Following, "connected" | "controlPlane" | "heardAt">;
  /** The files of HAProxy that this process began with. */
  readonly left?: { readonly position: string };
  /** The saved map that this process found. One that is older than what runs is not routed by, but says when it was heard. */
  readonly saved?: { readonly heardAt: number };
  /** The map that is applied. */
  readonly snapshot?: () => Snapshot | undefined;
  /** Answers `show stat -1 7 -1` of the current worker. */
  readonly ask?: () => Promise<string>;
  readonly ejecting?: Pick<Ejecting, "ejected" | "isEjected">;
  readonly accessLog?: Pick<AccessLog, "dropped">;
  readonly registrar?: { readonly instances: readonly unknown[]; readonly problems: readonly unknown[] };
  readonly resolver?: { readonly lookups: number; readonly failedLookups: number };
  readonly log?: Log;
}

export interface HaproxySource {
  /** 0 while there is none. */
  readonly workerPid: number;
  readonly masterPid?: number | undefined;
  /** Why it does not start, though that is tried over and over. */
  readonly down?: string | undefined;
  /** Whether a sidecar before this one has started it. */
  readonly adopted?: boolean;
  /** How often its files have been loaded. */
  readonly loads: number;
  readonly longStreamsCut: number;
  /** As they were before, where asking takes longer. */
  oldWorkers(withinMs: number): Promise<readonly OldWorkerState[]>;
}

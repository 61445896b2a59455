/** What the reconciler is given, and works with. */
import type { Log } from "../proto/log.ts";
import type { Following, Snapshot } from "../sdk-ts/follow.ts";
import type { Ejecting } from "./access/ejecting.ts";
import type { EgressSettings } from "./config/print_egress.ts";
import type { DataFolder } from "./haproxy/data_folder.ts";
import type { Haproxy } from "./haproxy/haproxy.ts";
import type { ResolverOptions } from "./resolve_host.ts";
import type { TakenOver } from "./take_over.ts";

export interface ReconcileOptions {
  readonly following: Pick<Following, "applied" | typeof Symbol.asyncIterator>;
  readonly haproxy: Pick<Haproxy, "start" | "update" | "reload" | "deleteServers" | "loads" | "down" | "amend">;
  readonly data: Pick<DataFolder, "check" | "sync">;
  readonly egress: EgressSettings;
  readonly log: Log;
  /** What HAProxy runs already. */
  readonly running?: TakenOver;
  readonly isEjected?: Ejecting["isEjected"];
  /** A map has been applied. */
  readonly onApplied?: (snapshot: Snapshot) => void;
  readonly oldWorkers?: () => Promise<number>;
  readonly lookup?: ResolverOptions["lookup"];
  readonly reloadEveryMs?: number;
  /** How long a removed server is left in peace before it is deleted. */
  readonly deleteAfterMs?: number;
  /** How many spare backends there are after a reload. */
  readonly spares?: number;
  /** How long few spare backends are put up with before HAProxy is reloaded for more. */
  readonly refillAfterMs?: number;
  /** From one try to get a port that somebody else has to the next. */
  readonly portRetryMs?: number;
}

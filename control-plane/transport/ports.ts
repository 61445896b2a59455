/** What every transport is given to serve. */
import type { Fleet } from "../app/fleet.ts";
import type { HistoryEntry, HistoryQuery } from "../app/history.ts";
import type { Imported, ImportedService } from "../app/import.ts";
import type { Caller } from "../app/caller.ts";
import type { Leases } from "../app/leases.ts";
import type { Operations } from "../app/operations.ts";
import type { Quota } from "../app/quota.ts";
import type { Reading } from "../app/reading.ts";
import type { Telemetry } from "../app/telemetry.ts";
import type { Realm } from "../domain/names.ts";
import { type Refusal, refuse } from "../domain/refusal.ts";
import type { Log } from "../../proto/log.ts";

export interface Ports {
  readonly operations: Operations;
  readonly reading: Reading;
  readonly leases: Pick<Leases, "beat" | "holds">;
  readonly fleet: Fleet;
  readonly history: (query: HistoryQuery) => AsyncIterable<HistoryEntry>;
  readonly importRealm: (
    caller: Caller,
    realm: Realm,
    services: readonly ImportedService[],
    force: boolean,
  ) => Promise<Imported | Refusal>;
  /** Writes a copy of the store to a path; absent: the store makes none. */
  readonly backup?: (path: string) => Promise<void>;
  /** By who asks. */
  readonly requests: Quota;
  readonly watches: Quota;
  readonly telemetry: Telemetry;
  readonly log: Log;
}

/** How long what is under way may take when a server stops, in ms. */
export const STOP_MS = 2_000;

/** A stream that stands until somebody ends it. */
export interface Standing {
  /** Ends it with UNAVAILABLE, telling its client why: it will come back. */
  stop(): void;
}

/** How a {@link Standing} stream ends. */
export const STOPPING = refuse(
  "unavailable",
  "The control plane is stopping: ask another one, or this one again later",
);

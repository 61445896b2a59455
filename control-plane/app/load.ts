/** Reads the whole map from a store, at start and whenever its log was lost. */
import { apply } from "../domain/change.ts";
import { type ClusterMap, emptyMap } from "../domain/cluster_map.ts";
import type { Entry, Snapshot, Store } from "../store/store.ts";
import type { Log } from "../../proto/log.ts";
import { beginEpoch, NO_EPOCH } from "./epoch.ts";
import { changeOf, EPOCH_KEY, MAP_PREFIX } from "./store_keys.ts";

export interface LoadOptions {
  readonly store: Store;
  readonly log: Log;
  /** Wall clock in ms: the epoch of a store that nobody has used, or that was put back. */
  readonly now: () => number;
}

/** The map as the store has it. A store that nobody has used begins its first epoch, one that was put back another one. */
export async function load({ store, log, now }: LoadOptions): Promise<ClusterMap> {
  for (;;) {
    const { restored } = store;
    const snapshot = await store.read(MAP_PREFIX);
    if (!restored && snapshot.entries.some(({ key }) => key === EPOCH_KEY)) return await replay(snapshot);
    // Where another control plane is faster, its epoch is read.
    const { before, epoch, commit } = await beginEpoch(store, snapshot.entries, now());
    if ("reason" in commit) {
      const what = restored ? `a new epoch, though ${PUT_BACK}` : "the store's first epoch";
      throw new Error(`Cannot begin ${what}: ${commit.reason}`);
    }
    if (!restored || commit.kind !== "committed") continue;
    log.warn("Began a new epoch: every follower starts again", { before, epoch, reason: PUT_BACK });
  }
}

const PUT_BACK = "the store was put back from a backup";

/** How many entries are replayed before others have their turn: a few ms. */
const SLICE = 500;

/** The map, or the part of it, that a store's entries add up to. Throws the reason of `signal` once that aborts. */
export async function replay({ revision, entries }: Snapshot, signal?: AbortSignal): Promise<ClusterMap> {
  const byRevision = [...entries].sort((a, b) => Number(a.revision - b.revision));
  let map = emptyMap(NO_EPOCH);
  for (let from = 0, to = 0, slice = SLICE; from < byRevision.length; from = to) {
    if (from >= slice) {
      await new Promise((resolve) => setImmediate(resolve));
      signal?.throwIfAborted();
      slice = from + SLICE;
    }
    const at = (byRevision[from] as Entry).revision;
    while (byRevision[to]?.revision === at) to++;
    map = apply(map, at, byRevision.slice(from, to).map(changeOf).filter((change) => change !== undefined));
  }
  return { ...map, position: { ...map.position, revision } };
}

/** Reads the whole map from a store, at start and whenever its log was lost. */
import { apply } from "../domain/change.ts";
import { type ClusterMap, emptyMap } from "../domain/cluster_map.ts";
import { type Epoch, NO_REVISION } from "../domain/names.ts";
import type { Entry, Snapshot, Store } from "../store/store.ts";
import { changeOf, EPOCH_KEY, MAP_PREFIX, writesOf } from "./store_keys.ts";

/** The map as the store has it. A store that nobody has used begins its first epoch at `now`, wall clock in ms. */
export async function load(store: Store, now: () => number): Promise<ClusterMap> {
  for (;;) {
    const snapshot = await store.read(MAP_PREFIX);
    if (snapshot.entries.some(({ key }) => key === EPOCH_KEY)) return replay(snapshot);
    const begin = epochWrites(BigInt(now()) as Epoch, now());
    // Where another control plane was faster, its epoch is read.
    const commit = await store.commit(begin, [{ key: EPOCH_KEY, revision: NO_REVISION }]);
    if (commit.kind === "refused") throw new Error(`Cannot begin the store's first epoch: ${commit.reason}`);
  }
}

/** What begins an epoch. */
export function epochWrites(epoch: Epoch, time: number) {
  return writesOf([{ kind: "begin_epoch", epoch }], { time, identity: "control-plane", operation: "begin_epoch" });
}

/** The map, or the part of it, that a store's entries add up to. */
export function replay({ revision, entries }: Snapshot): ClusterMap {
  const byRevision = [...entries].sort((a, b) => Number(a.revision - b.revision));
  let map = emptyMap(0n as Epoch);
  for (let from = 0, to = 0; from < byRevision.length; from = to) {
    const at = (byRevision[from] as Entry).revision;
    while (byRevision[to]?.revision === at) to++;
    map = apply(map, at, byRevision.slice(from, to).map(changeOf).filter((change) => change !== undefined));
  }
  return { ...map, position: { ...map.position, revision } };
}

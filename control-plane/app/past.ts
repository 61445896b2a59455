/** The map as it was: which revision a time means, and what was there. */
import type { ClusterMap } from "../domain/cluster_map.ts";
import type { Revision } from "../domain/names.ts";
import type { Scope } from "../domain/update.ts";
import type { Store } from "../store/store.ts";
import { replay } from "./load.ts";
import { MAP_PREFIX, mapPrefix, noteOf } from "./store_keys.ts";

/** The part of the map in scope, as of a revision. Throws `Lost`, and the reason of `signal` once that aborts. */
export async function mapAt(
  store: Store,
  { realm, services }: Scope,
  at: Revision,
  signal?: AbortSignal,
): Promise<ClusterMap> {
  const prefix = services ? [...services].map((service) => mapPrefix(realm, service)) : mapPrefix(realm);
  return await replay(await store.read(prefix, at, signal), signal);
}

/**
 * The last revision up to `newest` that was committed at `time` (wall clock in ms) or before it; where everything that is
 * remembered came later, the oldest revision that can be read. Throws as {@link mapAt} does.
 */
export async function revisionAt(
  store: Store,
  time: number,
  newest: Revision,
  signal?: AbortSignal,
): Promise<Revision> {
  let [low, high] = [store.remembered(), newest];
  // Everything up to `low` is not later than `time`, as far as it is known; everything beyond `high` is.
  while (low < high) {
    const middle = (low + high) / 2n as Revision;
    const next = await firstNote(store, middle, high, signal);
    if (!next) high = middle;
    else if (next.time <= time) low = next.revision;
    else high = (next.revision - 1n) as Revision;
  }
  return low;
}

/** Of the commits after one revision up to another, the first that says when it was made. */
async function firstNote(store: Store, after: Revision, upTo: Revision, signal?: AbortSignal) {
  for await (const { revision, writes } of store.history(MAP_PREFIX, after, { upTo, ...(signal && { signal }) })) {
    const note = writes.map(noteOf).find((one) => one !== undefined)?.note;
    if (note) return { revision, time: note.time };
  }
  return undefined;
}

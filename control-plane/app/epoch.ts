/** Begins epochs: each is one unbroken history of a store. */
import { type Epoch, NO_REVISION } from "../domain/names.ts";
import type { Commit, Entry, Store } from "../store/store.ts";
import { changeOf, EPOCH_KEY, writesOf } from "./store_keys.ts";

export const NO_EPOCH = 0n as Epoch;

/** What came of one try. */
export interface Begun {
  /** The store's epoch so far. */
  readonly before: Epoch;
  readonly epoch: Epoch;
  readonly commit: Commit;
}

/**
 * One try to begin an epoch after the one in `entries`, which were read from the store: higher than that and than `above`,
 * and at least the wall clock in ms. A conflict says that somebody else has begun one since.
 */
export async function beginEpoch(
  store: Store,
  entries: readonly Entry[],
  wallMs: number,
  above = NO_EPOCH,
): Promise<Begun> {
  const last = entries.find(({ key }) => key === EPOCH_KEY);
  const before = last ? epochOf(last) : NO_EPOCH;
  const epoch = [BigInt(wallMs), before + 1n, above + 1n].reduce((most, one) => one > most ? one : most) as Epoch;
  const writes = writesOf([{ kind: "begin_epoch", epoch }], {
    time: wallMs,
    identity: "control-plane",
    operation: "begin_epoch",
  });
  const commit = await store.commit(writes, [{ key: EPOCH_KEY, revision: last?.revision ?? NO_REVISION }]);
  return { before, epoch, commit };
}

function epochOf(entry: Entry): Epoch {
  const change = changeOf(entry);
  return change?.kind === "begin_epoch" ? change.epoch : NO_EPOCH;
}

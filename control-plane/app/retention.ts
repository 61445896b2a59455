/** Forgets what nobody needs any more: deletions after an hour, the past after some days. */
import type { Change } from "../domain/change.ts";
import type { Revision } from "../domain/names.ts";
import type { Store } from "../store/store.ts";
import type { Log } from "../../proto/log.ts";
import { sleep } from "../../proto/sleep.ts";
import type { Clock } from "./clock.ts";
import type { Hub } from "./hub.ts";
import { revisionAt } from "./past.ts";
import { guardOf, OPERATION_PREFIX, writesOf } from "./store_keys.ts";

export interface RetentionOptions {
  readonly store: Store;
  readonly hub: Hub;
  readonly clock: Pick<Clock, "wall">;
  readonly log: Log;
}

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** How long a follower may be away and still be told of a deletion. */
const TOMBSTONE_MS = HOUR_MS;
export const HISTORY_MS = 7 * 24 * HOUR_MS;
const CHANGES_AT_ONCE = 80;

/** Looks every minute until it is disposed. */
export function startRetention(options: RetentionOptions): AsyncDisposable {
  const ended = new AbortController();
  const running = (async () => {
    for (let minutes = 0;;) {
      await sleep(MINUTE_MS, ended.signal);
      if (ended.signal.aborted) return;
      try {
        await forgetDeletions(options, ended.signal);
        if (--minutes > 0) continue;
        await forgetPast(options, ended.signal);
        // Who reads the past from its beginning has so long until that is forgotten.
        minutes = HOUR_MS / MINUTE_MS;
      } catch (error) {
        if (!ended.signal.aborted) options.log.error("Cannot forget what is old: trying again", { error });
      }
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      ended.abort();
      await running;
    },
  };
}

/** Tombstones older than an hour; who holds an older map than the newest of them starts from a whole one. */
export async function forgetDeletions(
  { store, hub, clock }: RetentionOptions,
  signal?: AbortSignal,
): Promise<void> {
  const { realms, position } = hub.current();
  let { floor } = hub.current();
  if ([...realms].every(([, { tombstones }]) => tombstones.size === 0)) return;
  const upTo = await revisionAt(store, clock.wall() - TOMBSTONE_MS, position.revision, signal);
  for (const [realm, { tombstones }] of realms) {
    const old = [...tombstones].filter(([, revision]) => revision <= upTo);
    for (let from = 0; from < old.length; from += CHANGES_AT_ONCE) {
      signal?.throwIfAborted();
      const some = old.slice(from, from + CHANGES_AT_ONCE);
      // It only rises, also while the map does not show the last step yet.
      floor = some.reduce((most, [, revision]) => revision > most ? revision : most, floor);
      const changes: Change[] = some.map(([service]) => ({ kind: "forget_service", realm, service }));
      const note = { time: clock.wall(), identity: "control-plane", operation: "forget" };
      // Whatever has changed since, or came to be again, is not forgotten.
      const guards = some.map(([service, revision]) => guardOf({ realm, service, touch: true, revision }));
      const commit = await store.commit(writesOf([...changes, { kind: "raise_floor", floor }], note), guards);
      if ("reason" in commit) throw new Error(commit.reason);
    }
  }
}

/** History and operations that are older than the retention. */
export async function forgetPast(
  { store, hub, clock, log }: RetentionOptions,
  signal?: AbortSignal,
): Promise<void> {
  const { revision } = hub.current().position;
  const from = store.remembered();
  const upTo = await revisionAt(store, clock.wall() - HISTORY_MS, revision, signal);
  if (upTo <= from) return;
  const keys = new Set<string>();
  for await (const { writes } of store.history(OPERATION_PREFIX, from, { upTo, ...(signal && { signal }) })) {
    for (const { key, value } of writes) if (value) keys.add(key);
    if (keys.size >= CHANGES_AT_ONCE) await forgetOperations(store, keys, upTo);
  }
  await forgetOperations(store, keys, upTo);
  await store.forget(upTo, signal);
  log.info("Forgot the past", { from, upTo });
}

/** Empties `keys`. */
async function forgetOperations(store: Store, keys: Set<string>, upTo: Revision): Promise<void> {
  for (;;) {
    const { entries } = await store.read([...keys]);
    // Others of the same ids may have come after them.
    const old = entries.filter(({ revision }) => revision <= upTo);
    const commit = old.length > 0 && await store.commit(old.map(({ key }) => ({ key })), old);
    if (commit && "reason" in commit) throw new Error(commit.reason);
    // One of them has come again just now.
    if (commit && commit.kind === "conflict") continue;
    return keys.clear();
  }
}

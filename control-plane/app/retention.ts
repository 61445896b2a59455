/** Forgets what nobody needs any more: deletions after an hour, the past after some days. */
import type { Change } from "../domain/change.ts";
import type { Guard, Store } from "../store/store.ts";
import type { Log } from "../../proto/log.ts";
import { sleep } from "../../proto/sleep.ts";
import type { Clock } from "./clock.ts";
import type { Hub } from "./hub.ts";
import { revisionAt } from "./reading.ts";
import { noteOf, OPERATION_PREFIX, writesOf } from "./store_keys.ts";

export interface RetentionOptions {
  readonly store: Store;
  readonly hub: Hub;
  readonly clock: Pick<Clock, "wall">;
  readonly log: Log;
  /** How long the past is remembered, in ms. */
  readonly historyMs?: number;
}

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** How long a follower may be away and still be told of a deletion. */
const TOMBSTONE_MS = HOUR_MS;
export const HISTORY_MS = 7 * 24 * HOUR_MS;
const AT_ONCE = 80;

/** Looks every minute until it is disposed. */
export function startRetention(options: RetentionOptions): AsyncDisposable {
  const ended = new AbortController();
  const running = (async () => {
    while (!ended.signal.aborted) {
      await sleep(MINUTE_MS, ended.signal);
      if (ended.signal.aborted) return;
      try {
        await forgetDeletions(options);
        await forgetPast(options);
      } catch (error) {
        options.log.error("Cannot forget what is old: trying again", { error });
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
export async function forgetDeletions({ store, hub, clock }: RetentionOptions): Promise<void> {
  const before = clock.wall() - TOMBSTONE_MS;
  let { floor } = hub.current();
  for (const [realm, { tombstones }] of hub.current().realms) {
    const old: { change: Change; guard: Guard }[] = [];
    for (const [service, revision] of tombstones) {
      const [entry] = (await store.read(`map/${realm}/${service}/touch`)).entries;
      const time = entry && noteOf(entry)?.note.time;
      if (entry?.revision !== revision || time === undefined || time > before) continue;
      old.push({ change: { kind: "forget_service", realm, service }, guard: { key: entry.key, revision } });
    }
    for (let from = 0; from < old.length; from += AT_ONCE) {
      const some = old.slice(from, from + AT_ONCE);
      // It only rises, also while the map does not show the last step yet.
      floor = some.reduce((most, { guard }) => guard.revision > most ? guard.revision : most, floor);
      const changes: Change[] = [...some.map(({ change }) => change), { kind: "raise_floor", floor }];
      const note = { time: clock.wall(), identity: "control-plane", operation: "forget" };
      await store.commit(writesOf(changes, note), some.map(({ guard }) => guard));
    }
  }
}

/** History and operations that are older than the retention. */
export async function forgetPast({ store, hub, clock, log, historyMs = HISTORY_MS }: RetentionOptions): Promise<void> {
  const { revision } = hub.current().position;
  const from = store.remembered();
  const upTo = await revisionAt(store, clock.wall() - historyMs, revision);
  if (upTo <= from) return;
  for await (const batch of store.history(OPERATION_PREFIX, from)) {
    if (batch.revision > upTo) break;
    for (const { key, value } of batch.writes) {
      // One of the same id may have come after it.
      if (value) await store.commit([{ key }], [{ key, revision: batch.revision }]);
    }
  }
  await store.forget(upTo);
  log.info("Forgot the past", { from, upTo });
}

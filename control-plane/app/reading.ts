/** Reading the map, as it is and as it was, and following it. */
import type { ClusterMap, Position } from "../domain/cluster_map.ts";
import { NO_REVISION, type Revision } from "../domain/names.ts";
import { invalid, isRefusal, type Refusal, refuse } from "../domain/refusal.ts";
import { type Scope, since, type Update } from "../domain/update.ts";
import { Lost, type Store } from "../store/store.ts";
import type { Log } from "../../proto/log.ts";
import { type Caller, observer } from "./caller.ts";
import type { Hub } from "./hub.ts";
import { replay } from "./load.ts";
import type { Operations } from "./operations.ts";
import { EPOCH_KEY, MAP_PREFIX, mapPrefix, noteOf } from "./store_keys.ts";
import type { Follow } from "./watcher.ts";

export interface ReadingOptions {
  readonly store: Store;
  readonly hub: Hub;
  readonly operations: Pick<Operations, "beginEpoch">;
  readonly log: Log;
  /** How long a read waits for a revision that it was asked to see, in ms. */
  readonly minRevisionWaitMs?: number;
}

/** A moment of the past: a revision, or wall clock time in ms. */
export type Moment = { readonly revision: Revision } | { readonly time: number };

export class Reading {
  /** Only a store that was put back while this process did not run can be behind its clients: once at most. */
  #epoch: Promise<Position | Refusal> | undefined;

  constructor(private readonly options: ReadingOptions) {}

  /** Where the map stands. */
  position(): Position {
    return this.options.hub.current().position;
  }

  /** Why requests cannot be served as promised; empty: they can. */
  problems(): readonly string[] {
    return this.options.hub.live ? [] : ["the map does not follow the store"];
  }

  /** Everything in scope, at one position that is not before `minRevision`. */
  async read(caller: Caller, scope: Scope, minRevision: Revision = NO_REVISION): Promise<Update | Refusal> {
    const { hub, minRevisionWaitMs = 5_000 } = this.options;
    if (hub.current().position.revision < minRevision) {
      const late = AbortSignal.timeout(minRevisionWaitMs);
      try {
        await hub.reached(minRevision, caller.signal ? AbortSignal.any([caller.signal, late]) : late);
      } catch {
        const { revision } = hub.current().position;
        return refuse("unavailable", `Cannot read revision ${minRevision}: the newest one here is ${revision}`);
      }
    }
    return since(hub.current(), scope);
  }

  /** Everything in scope as it was. Its position is of the epoch that runs. */
  async readAt(scope: Scope, moment: Moment): Promise<Update | Refusal> {
    const { epoch, revision: newest } = this.position();
    const what = "revision" in moment ? `revision ${moment.revision}` : new Date(moment.time).toISOString();
    try {
      const at = "revision" in moment ? moment.revision : await this.#revisionAt(moment.time, newest);
      if (at === undefined) return forgotten(what);
      if (at > newest) {
        return invalid([{ field: "at", description: `expected at most ${newest}, the newest one here` }]);
      }
      const map = await this.#mapAt(scope, at);
      return { ...since(map, scope), position: { epoch, revision: at } };
    } catch (error) {
      if (error instanceof Lost) return forgotten(what);
      throw error;
    }
  }

  /** Updates of a scope, from `after` on. */
  follow(caller: Caller, scope: Scope, after?: Position): Follow {
    this.options.log.info("Following", { realm: scope.realm, identity: caller.identity, reason: caller.reason });
    return this.options.hub.follow(scope, after);
  }

  /**
   * Sees to it that a follower who is ahead of the store does not wait for ever: the store was restored from an older
   * state, so a new epoch begins. Refuses positions that nobody can have been given.
   */
  async settle(after: Position): Promise<Refusal | undefined> {
    if (!await this.#isBehind(after)) return undefined;
    const begun = await (this.#epoch ??= this.#begin(after));
    if (isRefusal(begun)) this.#epoch = undefined;
    if (isRefusal(begun) && begun.code !== "invalid") return begun;
    if (!await this.#isBehind(after)) return undefined;
    const description =
      `expected a position that this control plane has answered, not ${after.epoch}.${after.revision}`;
    return refuse("invalid", `after: ${description}`, [{ field: "after", description }]);
  }

  async #begin(after: Position): Promise<Position | Refusal> {
    const { epoch, revision } = this.position();
    const reason = `a follower holds ${after.epoch}.${after.revision}, the store ends at ${epoch}.${revision}`;
    return await this.options.operations.beginEpoch(observer("control-plane", reason), after.epoch);
  }

  /** Whether a follower at this position is ahead of all that there is; one that is ahead of the map alone is waited for. */
  async #isBehind({ epoch, revision }: Position): Promise<boolean> {
    const { hub, store } = this.options;
    const is = this.position();
    if (epoch !== is.epoch || revision <= is.revision) return epoch > is.epoch;
    if (revision > (await store.read(EPOCH_KEY)).revision) return true;
    await hub.reached(revision);
    return false;
  }

  async #mapAt(scope: Scope, at: Revision): Promise<ClusterMap> {
    const prefixes = scope.services
      ? [...scope.services].map((service) => mapPrefix(scope.realm, service))
      : [mapPrefix(scope.realm)];
    const parts = await Promise.all(prefixes.map((prefix) => this.options.store.read(prefix, at)));
    return replay({ revision: at, entries: parts.flatMap(({ entries }) => entries) });
  }

  /** The last revision that was committed at `time` or before it; nothing where that is forgotten. */
  async #revisionAt(time: number, newest: Revision): Promise<Revision | undefined> {
    const { store } = this.options;
    const oldest = store.remembered();
    const at = await revisionAt(store, time, newest);
    if (at > oldest || oldest === NO_REVISION) return at;
    // What is remembered begins with it; whether it was there yet, only it can say.
    const { entries } = await store.read(MAP_PREFIX, oldest);
    const then = entries.filter(({ revision }) => revision === oldest).map(noteOf).find((one) => one !== undefined);
    return then && then.note.time <= time ? at : undefined;
  }
}

/**
 * The last revision up to `newest` that was committed at `time` (wall clock in ms) or before it; where everything that is
 * remembered came later, the oldest revision that can be read.
 */
export async function revisionAt(store: Store, time: number, newest: Revision): Promise<Revision> {
  const oldest = store.remembered();
  let [low, high] = [oldest, newest];
  // Everything up to `low` is not later than `time`, as far as it is known; everything beyond `high` is.
  while (low < high) {
    const middle = (low + high) / 2n as Revision;
    const next = await firstAfter(store, middle);
    if (!next || next.revision > high) high = middle;
    else if (next.time <= time) low = next.revision;
    else high = (next.revision - 1n) as Revision;
  }
  return low;
}

async function firstAfter(store: Store, after: Revision) {
  for await (const { revision, writes } of store.history(MAP_PREFIX, after)) {
    const note = writes.map(noteOf).find((one) => one !== undefined)?.note;
    if (note) return { revision, time: note.time };
  }
  return undefined;
}

function forgotten(what: string): Refusal {
  return refuse("forgotten", `Cannot read the map as of ${what}: the past is remembered for some days only`);
}

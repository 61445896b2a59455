/** Reading the map, as it is and as it was, and following it. */
import type { Position } from "../domain/cluster_map.ts";
import { NO_REVISION, type Revision } from "../domain/names.ts";
import { invalid, type Refusal, refuse } from "../domain/refusal.ts";
import { type Scope, since, type Update } from "../domain/update.ts";
import { Lost } from "../store/store.ts";
import type { Log } from "../../proto/log.ts";
import { Ahead, type AheadOptions } from "./ahead.ts";
import type { Caller } from "./caller.ts";
import { mapAt, revisionAt } from "./past.ts";
import { MAP_PREFIX, noteOf } from "./store_keys.ts";
import type { Follow } from "./watcher.ts";

export interface ReadingOptions extends AheadOptions {
  readonly log: Log;
  /** How long a read waits for a revision that it was asked to see, in ms. */
  readonly minRevisionWaitMs?: number;
}

/** A moment of the past: a revision, or wall clock time in ms. */
export type Moment = { readonly revision: Revision } | { readonly time: number };

export class Reading {
  readonly #ahead: Ahead;

  constructor(private readonly options: ReadingOptions) {
    this.#ahead = new Ahead(options);
  }

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

  /** Everything in scope as it was, unless `signal` aborts first. Its position is of the epoch that runs. */
  async readAt(scope: Scope, moment: Moment, signal?: AbortSignal): Promise<Update | Refusal> {
    const now = this.options.hub.current();
    const { epoch, revision: newest } = now.position;
    const what = "revision" in moment ? `revision ${moment.revision}` : new Date(moment.time).toISOString();
    try {
      const at = "revision" in moment ? moment.revision : await this.#revisionAt(moment.time, newest, signal);
      if (at === undefined) return forgotten(what);
      if (at > newest) {
        return invalid([{ field: "at", description: `expected at most ${newest}, the newest one here` }]);
      }
      const map = at === newest ? now : await mapAt(this.options.store, scope, at, signal);
      return { ...since(map, scope), position: { epoch, revision: at } };
    } catch (error) {
      if (error instanceof Lost) return forgotten(what);
      if (signal?.aborted) {
        return refuse("unavailable", `Cannot read the map as of ${what}: nobody waits for it any more`);
      }
      throw error;
    }
  }

  /** Updates of a scope, from `after` on. */
  follow(caller: Caller, scope: Scope, after?: Position): Follow {
    this.options.log.info("Following", { realm: scope.realm, identity: caller.identity, reason: caller.reason });
    return this.options.hub.follow(scope, after);
  }

  /** As {@link Ahead.settle}. */
  settle(after: Position): Promise<Refusal | undefined> {
    return this.#ahead.settle(after);
  }

  /** The last revision that was committed at `time` or before it; nothing where that is forgotten. */
  async #revisionAt(time: number, newest: Revision, signal?: AbortSignal): Promise<Revision | undefined> {
    const { store } = this.options;
    const oldest = store.remembered();
    const at = await revisionAt(store, time, newest, signal);
    if (at > oldest || oldest === NO_REVISION) return at;
    // What is remembered begins with it; whether it was there yet, only it can say.
    const { entries } = await store.read(MAP_PREFIX, oldest, signal);
    const then = entries.filter(({ revision }) => revision === oldest).map(noteOf).find((one) => one !== undefined);
    return then && then.note.time <= time ? at : undefined;
  }
}

function forgotten(what: string): Refusal {
  return refuse("forgotten", `Cannot read the map as of ${what}: the past is remembered for some days only`);
}

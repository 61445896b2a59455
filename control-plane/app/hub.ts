/** Holds the map in memory, moves it with the store's log, and owes every watcher the names that changed. */
import { apply, type Change } from "../domain/change.ts";
import type { ClusterMap, Position } from "../domain/cluster_map.ts";
import type { Realm, Revision, ServiceName } from "../domain/names.ts";
import type { Scope } from "../domain/update.ts";
import { type Batch, Lost } from "../store/store.ts";
import { sleep } from "../../proto/sleep.ts";
import { changeOf } from "./store_keys.ts";
import { load, type LoadOptions } from "./load.ts";
import { SharedUpdates } from "./shared_updates.ts";
import { type Follow, Watcher } from "./watcher.ts";

export interface HubOptions extends LoadOptions {
  /** Is told of every map before anybody else. */
  readonly observer?: MapObserver;
  /** An idle watch hears at least this often how far the map is complete, in ms. */
  readonly bookmarkMs?: number;
}

/** Who has to know more of the map than what it is now. */
export interface MapObserver {
  /** The map was read anew. */
  reset(map: ClusterMap): void;
  /** A commit changed it; `before` is the map without it. */
  take(before: ClusterMap, changes: readonly Change[]): void;
}

/** Opens the map of a store: answers when it is complete. */
export async function openHub(options: HubOptions): Promise<Hub> {
  const hub = new Hub(options, await load(options));
  hub.start();
  return hub;
}

export class Hub implements AsyncDisposable {
  readonly #options: HubOptions;
  readonly #shared = new SharedUpdates();
  readonly #watchers = new Map<Realm, Set<Watcher>>();
  readonly #waiting = new Set<{ revision: Revision; reached: () => void }>();
  readonly #ended = new AbortController();
  #map: ClusterMap;
  #following: Promise<void> = Promise.resolve();
  #lost = false;

  constructor(options: HubOptions, map: ClusterMap) {
    this.#options = options;
    this.#map = map;
    options.observer?.reset(map);
  }

  current(): ClusterMap {
    return this.#map;
  }

  /** Whether the map is known to move with the log. */
  get live(): boolean {
    return !this.#lost && !this.#ended.signal.aborted;
  }

  /** How many watches stand. */
  get watchers(): number {
    return [...this.#watchers.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** Names that watchers are owed, all of them together. */
  get owed(): number {
    return [...this.#all()].reduce((sum, { owed }) => sum + owed, 0);
  }

  start(): void {
    this.#following = this.#followLog();
    const timer = setInterval(() => this.#bookmark(), (this.#options.bookmarkMs ?? 10_000) / 2);
    this.#ended.signal.addEventListener("abort", () => clearInterval(timer));
  }

  /** Resolves once the map holds `revision`; rejects when `signal` ends the wait. */
  async reached(revision: Revision, signal?: AbortSignal): Promise<void> {
    if (this.#map.position.revision >= revision) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { revision, reached: resolve };
    this.#waiting.add(waiter);
    // Listening to a signal costs more than the wait, where nobody can end it.
    const giveUp = () => reject(signal?.reason);
    signal?.addEventListener("abort", giveUp, { once: true });
    if (signal?.aborted) giveUp();
    try {
      await promise;
    } finally {
      this.#waiting.delete(waiter);
      signal?.removeEventListener("abort", giveUp);
    }
  }

  follow(scope: Scope, after?: Position): Follow {
    const watchers = this.#watchers.get(scope.realm) ?? new Set();
    const watcher = new Watcher(() => this.#map, this.#shared, scope, after, () => {
      watchers.delete(watcher);
      // Others may have come since the last one left.
      if (watchers.size === 0 && this.#watchers.get(scope.realm) === watchers) this.#watchers.delete(scope.realm);
    });
    this.#watchers.set(scope.realm, watchers.add(watcher));
    return watcher;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#following;
  }

  async #followLog(): Promise<void> {
    const { store, log } = this.#options;
    while (!this.#ended.signal.aborted) {
      try {
        for await (const batch of store.watch("", this.#map.position.revision, this.#ended.signal)) this.#take(batch);
      } catch (error) {
        if (this.#ended.signal.aborted) return;
        this.#lost = true;
        if (!(error instanceof Lost)) log.error("Cannot follow the store: reading it again", { error });
        await this.#reload();
      }
    }
  }

  async #reload(): Promise<void> {
    const { log } = this.#options;
    for (let delayMs = 10; !this.#ended.signal.aborted; delayMs = Math.min(2 * delayMs, 2_000)) {
      try {
        this.#map = await load(this.#options);
        this.#options.observer?.reset(this.#map);
        this.#lost = false;
        for (const watcher of this.#all()) watcher.begin();
        return this.#announce();
      } catch (error) {
        log.error("Cannot read the store: trying again", { error, delayMs });
        await sleep(delayMs, this.#ended.signal);
      }
    }
  }

  #take(batch: Batch): void {
    const changes = batch.writes.map(changeOf).filter((change) => change !== undefined);
    this.#options.observer?.take(this.#map, changes);
    this.#map = apply(this.#map, batch.revision, changes);
    // What was held of another epoch is no base for what is owed.
    if (changes.some(({ kind }) => kind === "begin_epoch")) { for (const watcher of this.#all()) watcher.begin(); }
    for (const [realm, names] of touched(changes)) {
      for (const watcher of this.#watchers.get(realm) ?? []) watcher.owe(names);
    }
    this.#announce();
  }

  #announce(): void {
    for (const { revision, reached } of this.#waiting) {
      if (revision <= this.#map.position.revision) reached();
    }
  }

  /** Has all watchers of a realm hear at once how far the map is complete. */
  bookmark(realm: Realm): void {
    for (const watcher of this.#watchers.get(realm) ?? []) watcher.bookmark();
  }

  #bookmark(): void {
    for (const watcher of this.#all()) watcher.tick();
  }

  *#all(): Generator<Watcher> {
    for (const watchers of this.#watchers.values()) yield* watchers;
  }
}

function touched(changes: readonly Change[]): Map<Realm, Set<ServiceName>> {
  const names = new Map<Realm, Set<ServiceName>>();
  for (const change of changes) {
    if (!("service" in change)) continue;
    const ofRealm = names.get(change.realm);
    if (ofRealm) ofRealm.add(change.service);
    else names.set(change.realm, new Set([change.service]));
  }
  return names;
}

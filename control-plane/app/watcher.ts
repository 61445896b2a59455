/** One watch's side of the hub. */
import type { ClusterMap, Position } from "../domain/cluster_map.ts";
import type { ServiceName } from "../domain/names.ts";
import { inScope, type Scope, type Update } from "../domain/update.ts";
import type { SharedUpdates } from "./shared_updates.ts";

/** One watcher's view. */
export interface Follow extends Disposable {
  /**
   * What the watcher does not know yet, as soon as there is something; at the latest after `bookmarkMs` an empty update.
   * Ask for the next one when this one was received. Rejects when `signal` ends it.
   */
  next(signal: AbortSignal): Promise<Update>;
  /** Follows another scope from now on, of which `after` is known already. */
  subscribe(scope: Scope, after?: Position): void;
  /** Somebody wants to know how far it is: an empty update, if there is nothing else. */
  bookmark(): void;
}

/** What one watcher is owed: names, however often they change. */
export class Watcher implements Follow {
  #owed = new Set<ServiceName>();
  /** It must be told what changed since `#after`, whatever is owed. */
  #begin = true;
  #idle = false;
  #bookmark = false;
  #wake: (() => void) | undefined;
  #ended: AbortSignal | undefined;

  constructor(
    readonly map: () => ClusterMap,
    readonly shared: SharedUpdates,
    private scope: Scope,
    private after: Position | undefined,
    readonly close: () => void,
  ) {}

  get owed(): number {
    return this.#owed.size;
  }

  async next(signal: AbortSignal): Promise<Update> {
    while (!this.#begin && this.#owed.size === 0 && !this.#bookmark) await this.#woken(signal);
    const map = this.map();
    const update = this.#begin
      ? this.shared.since(map, this.scope, this.after)
      : this.shared.collect(map, this.scope.realm, this.#owed);
    this.#owed = new Set();
    this.#begin = this.#bookmark = this.#idle = false;
    this.after = update.position;
    return update;
  }

  subscribe(scope: Scope, after?: Position): void {
    this.scope = scope;
    this.after = after;
    this.begin();
  }

  begin(): void {
    this.#begin = true;
    this.#wake?.();
  }

  owe(names: Iterable<ServiceName>): void {
    for (const name of names) if (inScope(this.scope, name)) this.#owed.add(name);
    if (this.#owed.size > 0) this.#wake?.();
  }

  bookmark(): void {
    this.#bookmark = true;
    this.#wake?.();
  }

  /** Twice in a row without anything in between: time for a bookmark. */
  tick(): void {
    this.#bookmark ||= this.#idle;
    this.#idle = true;
    if (this.#bookmark) this.#wake?.();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #woken(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    // Once for all waits: listening costs more than the wait.
    if (this.#ended !== signal) {
      this.#ended = signal;
      signal.addEventListener("abort", () => this.#wake?.(), { once: true });
    }
    await new Promise<void>((resolve) => this.#wake = resolve);
    this.#wake = undefined;
    signal.throwIfAborted();
  }
}

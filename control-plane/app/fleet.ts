/** Who follows the map, who should, and whether a change has reached them all. */
import type { Position } from "../domain/cluster_map.ts";
import type { Realm, Revision } from "../domain/names.ts";
import { parseServiceName } from "../domain/names.ts";
import { type Refusal, refuse } from "../domain/refusal.ts";
import type { Scope } from "../domain/update.ts";
import type { Store } from "../store/store.ts";
import type { Log } from "../../proto/log.ts";
import type { Caller } from "./caller.ts";
import type { Clock } from "./clock.ts";
import { type Connection, type Follower, Followers, type FollowerState, type Line, routedBy } from "./followers.ts";
import type { Hub } from "./hub.ts";
import type { Written } from "./operations.ts";
import { Roster } from "./roster.ts";
import { must } from "./store_values.ts";

export interface FleetOptions {
  readonly store: Store;
  readonly hub: Hub;
  readonly clock: Pick<Clock, "wall">;
  readonly log: Log;
}

/** How far a revision has come. */
export interface Arrival {
  readonly done: boolean;
  readonly revision: Revision;
  /** Who cannot be said to route by it, by id. */
  readonly laggards: readonly FollowerState[];
}

/** Between two rounds of bookmarks through a realm, in ms. */
const ROUND_MS = 100;

/** Those who wait for something in one realm. */
interface Waiting {
  readonly waiters: Set<{ readonly revision: Revision; readonly done: () => void }>;
  /** The timer after which the followers are counted again, if they are to be. */
  recount?: ReturnType<typeof setTimeout>;
}

export class Fleet implements AsyncDisposable {
  readonly #waiting = new Map<Realm, Waiting>();
  /** The realms whose watchers were sent round just now, and whether somebody has asked for it since. */
  readonly #rounds = new Map<Realm, { readonly timer: ReturnType<typeof setTimeout>; again: boolean }>();
  readonly #followers: Followers;
  #roster!: Roster;

  private constructor(private readonly options: FleetOptions) {
    this.#followers = new Followers(options.clock.wall, {
      changed: (realm) => this.#wake(realm),
      doubled: (older, newer) => this.#warnOf(older, newer),
      gone: (last) => {
        this.#takeOff(last).catch((error) => options.log.error("Cannot take a follower off the roster", { error }));
      },
    });
  }

  static async open(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(options);
    fleet.#roster = await Roster.open(options.store, options.log, (realm) => fleet.#wake(realm));
    return fleet;
  }

  /** Lists a follower until its connection is disposed; a sidecar is expected to come back. */
  connect(follower: Follower, scope: Scope, line?: Line): Connection {
    if (follower.kind === "sidecar") this.#expect(follower, scope);
    return this.#followers.connect(follower, scope, line);
  }

  /** It stops for good: nobody waits for it, unless another of its name is there. Only sidecars are missed at all. */
  async goodbye(connection: Connection): Promise<void> {
    if (this.#followers.leave(connection)) await this.#takeOff(connection);
  }

  /** Those that are connected, and those of the roster that are not; by id, in byte order. */
  list(realm: Realm): readonly FollowerState[] {
    return [...this.#all(realm, this.options.hub.current().position)].sort(({ follower: a }, { follower: b }) =>
      (a.id === b.id ? a.kind < b.kind : a.id < b.id) ? -1 : 1
    );
  }

  /** Takes a sidecar that will not come back off the roster. */
  async forget(caller: Caller, realm: Realm, id: string): Promise<Written | Refusal> {
    if (this.#followers.has(realm, { kind: "sidecar", id })) {
      return refuse("in_use", `Cannot forget follower "${id}": it is connected; stop it first`);
    }
    const commit = await this.#roster.forget(realm, id);
    if (!commit) {
      return refuse("not_found", `Cannot forget follower "${id}": it is not on the roster of realm "${realm}"`);
    }
    if (commit.kind !== "committed") {
      const reason = "reason" in commit ? commit.reason : "it changed meanwhile";
      return refuse(commit.kind === "unknown" ? "unknown" : "unavailable", `Cannot forget follower "${id}": ${reason}`);
    }
    this.options.log.info("Forgot a follower", {
      realm,
      follower: id,
      identity: caller.identity,
      reason: caller.reason,
    });
    return { kind: "written", revision: commit.revision };
  }

  /** Answers once everybody who counts routes by `revision`, or when `signal` ends the wait: as things are then. */
  async wait(realm: Realm, revision: Revision, signal: AbortSignal): Promise<Arrival> {
    const { hub } = this.options;
    await hub.reached(revision, signal).catch(() => {});
    if (!signal.aborted && this.#routedByAll(realm, revision) < revision) {
      // Who is owed nothing would say so with the next bookmark only.
      this.#bookmark(realm);
      await this.#arrived(realm, revision, signal);
    }
    return signal.aborted ? this.#arrival(realm, revision) : { done: true, revision, laggards: [] };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { timer } of this.#rounds.values()) clearTimeout(timer);
    await this.#roster[Symbol.asyncDispose]();
  }

  *#all(realm: Realm, running: Position): Generator<FollowerState> {
    yield* this.#followers.of(realm, running);
    for (const { follower, services } of this.#roster.of(realm)) {
      if (this.#followers.has(realm, follower)) continue;
      const scope = {
        realm,
        ...(services && { services: new Set(services.map((name) => must(parseServiceName(name)))) }),
      };
      yield { follower, scope, refused: [], connected: false };
    }
  }

  #arrival(realm: Realm, revision: Revision): Arrival {
    const position = this.options.hub.current().position;
    const laggards = this.list(realm).filter((state) => counts(state) && routedBy(state, position) < revision);
    return { done: position.revision >= revision && laggards.length === 0, revision, laggards };
  }

  /** Resolves once everybody who counts routes by `revision`, or when `signal` ends the wait. */
  async #arrived(realm: Realm, revision: Revision, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#waiting.get(realm) ?? { waiters: new Set() };
    const waiter = { revision, done: () => resolve() };
    this.#waiting.set(realm, waiting);
    waiting.waiters.add(waiter);
    signal.addEventListener("abort", waiter.done, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", waiter.done);
      waiting.waiters.delete(waiter);
      if (waiting.waiters.size === 0) {
        clearTimeout(waiting.recount);
        this.#waiting.delete(realm);
      }
    }
  }

  /** Thousands may speak at once: they are counted once, afterwards, for all who wait. */
  #wake(realm: Realm): void {
    const waiting = this.#waiting.get(realm);
    if (!waiting || waiting.recount !== undefined) return;
    waiting.recount = setTimeout(() => {
      delete waiting.recount;
      const wanted = [...waiting.waiters].map(({ revision }) => revision);
      const least = this.#routedByAll(realm, wanted.reduce((a, b) => a < b ? a : b));
      for (const { revision, done } of waiting.waiters) if (least >= revision) done();
    }, 0);
  }

  /** The newest revision that everybody who counts routes by; any before `wanted` if it is before that. */
  #routedByAll(realm: Realm, wanted: Revision): Revision {
    const position = this.options.hub.current().position;
    let least = position.revision;
    for (const state of this.#all(realm, position)) {
      const revision = counts(state) ? routedBy(state, position) : least;
      if (revision < least) least = revision;
      if (least < wanted) break;
    }
    return least;
  }

  /** Asks all watchers of a realm how far they are; whoever asks too early is served by the next round. */
  #bookmark(realm: Realm): void {
    const round = this.#rounds.get(realm);
    if (round) {
      round.again = true;
      return;
    }
    this.options.hub.bookmark(realm);
    const timer = setTimeout(() => {
      const again = this.#rounds.get(realm)?.again;
      this.#rounds.delete(realm);
      if (again) this.#bookmark(realm);
    }, ROUND_MS);
    this.#rounds.set(realm, { timer, again: false });
  }

  async #takeOff({ state: { follower: { kind, id }, scope: { realm } } }: Connection): Promise<void> {
    if (kind !== "sidecar") return;
    const commit = await this.#roster.forget(realm, id);
    if (!commit || commit.kind === "committed") return;
    this.options.log.warn("Cannot take a follower off the roster", { follower: id, outcome: commit.kind });
  }

  #warnOf(older: Connection, newer: Connection): void {
    const { follower: { kind, id }, scope: { realm } } = newer.state;
    if (kind !== "sidecar") return;
    const peers = [older.line.peer, newer.line.peer];
    this.options.log.warn("Two sidecars follow under one host id: each host needs its own", {
      realm,
      follower: id,
      peers,
    });
  }

  #expect(follower: Follower, scope: Scope): void {
    const { clock, log } = this.options;
    const services = scope.services && [...scope.services].sort();
    this.#roster.expect({ follower, realm: scope.realm, ...(services && { services }), since: clock.wall() }).then(
      (commit) => {
        if (!commit || commit.kind === "committed") return;
        log.warn("Cannot put a follower on the roster: it will be tried at its next connection", {
          follower: follower.id,
          outcome: commit.kind,
        });
      },
      (error) => log.error("Cannot put a follower on the roster", { follower: follower.id, error }),
    );
  }
}

/** A tool routes nothing. */
function counts({ follower }: FollowerState): boolean {
  return follower.kind !== "tool";
}

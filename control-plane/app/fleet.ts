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
import { type Connection, type Follower, Followers, type FollowerState } from "./followers.ts";
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

export class Fleet implements AsyncDisposable {
  readonly #waiting = new Set<() => void>();
  readonly #followers: Followers;
  #roster!: Roster;

  private constructor(private readonly options: FleetOptions) {
    this.#followers = new Followers(options.clock.wall, () => this.#wake());
  }

  static async open(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(options);
    fleet.#roster = await Roster.open(options.store, options.log, () => fleet.#wake());
    return fleet;
  }

  /** Lists a follower until its connection is disposed; a sidecar is expected to come back. */
  connect(follower: Follower, scope: Scope): Connection {
    if (follower.kind === "sidecar") this.#expect(follower, scope);
    return this.#followers.connect(follower, scope);
  }

  /** It stops for good: nobody waits for it, unless another of its name has come. */
  async goodbye({ state }: Connection): Promise<void> {
    const { follower, scope } = state;
    if (this.#followers.of(scope.realm).get(follower.id) !== state) return;
    const commit = await this.#roster.forget(scope.realm, follower.id);
    if (commit && commit.kind !== "committed") {
      this.options.log.warn("Cannot take a follower off the roster", { follower: follower.id, outcome: commit.kind });
    }
  }

  /** Those that are connected, and those of the roster that are not; by id, in byte order. */
  list(realm: Realm): readonly FollowerState[] {
    const all = new Map(this.#followers.of(realm));
    for (const { follower, services } of this.#roster.of(realm)) {
      if (all.get(follower.id)?.follower.kind === "sidecar") continue;
      const scope = {
        realm,
        ...(services && { services: new Set(services.map((name) => must(parseServiceName(name)))) }),
      };
      all.set(follower.id, { follower, scope, refused: [], connected: false });
    }
    return [...all.values()].sort((a, b) => a.follower.id < b.follower.id ? -1 : 1);
  }

  /** Takes a sidecar that will not come back off the roster. */
  async forget(caller: Caller, realm: Realm, id: string): Promise<Written | Refusal> {
    if (this.#followers.of(realm).get(id)?.follower.kind === "sidecar") {
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
    // Who is owed nothing would say so with the next bookmark only.
    if (!signal.aborted) hub.bookmark(realm);
    for (;;) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = () => resolve();
      this.#waiting.add(wake);
      signal.addEventListener("abort", wake, { once: true });
      try {
        const arrival = this.#arrival(realm, revision);
        if (arrival.done || signal.aborted) return arrival;
        await promise;
      } finally {
        this.#waiting.delete(wake);
        signal.removeEventListener("abort", wake);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#roster[Symbol.asyncDispose]();
  }

  #arrival(realm: Realm, revision: Revision): Arrival {
    const position = this.options.hub.current().position;
    const laggards = this.list(realm).filter((state) =>
      state.follower.kind !== "tool" && lags(state, position, revision)
    );
    return { done: position.revision >= revision && laggards.length === 0, revision, laggards };
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

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
  }
}

/** Not there, not that far, or unable to use something of it. */
function lags({ connected, applied, refused }: FollowerState, position: Position, revision: Revision): boolean {
  return !connected || !applied || applied.epoch !== position.epoch || applied.revision < revision ||
    refused.length > 0;
}

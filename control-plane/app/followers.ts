/** Who follows the map over a stream that stands, and how far they say they are. */
import type { Position } from "../domain/cluster_map.ts";
import type { Realm } from "../domain/names.ts";
import type { Scope } from "../domain/update.ts";

export interface Follower {
  /** Stable over restarts. */
  readonly id: string;
  readonly kind: "sidecar" | "sdk" | "tool";
  /** As `name/version`; may be empty. */
  readonly program: string;
  /** May be empty. */
  readonly zone: string;
}

/** A service that a follower cannot use as the map has it. */
export interface Unusable {
  readonly service: string;
  readonly reason: string;
}

export interface FollowerState {
  readonly follower: Follower;
  readonly scope: Scope;
  readonly received?: Position;
  readonly applied?: Position;
  readonly refused: readonly Unusable[];
  /** Wall clock in ms of what it said last. */
  readonly lastSeen: number;
}

export class Followers {
  readonly #connected = new Set<Connection>();

  /** `now` is the wall clock in ms. */
  constructor(private readonly now: () => number) {}

  /** Lists a follower until its connection is disposed. */
  connect(follower: Follower, scope: Scope): Connection {
    const connection: Connection = new Connection(follower, scope, this.now, () => this.#connected.delete(connection));
    this.#connected.add(connection);
    return connection;
  }

  /** By id, in byte order. Of several connections of one follower the newest speaks for it. */
  list(realm: Realm): readonly FollowerState[] {
    const newest = new Map<string, FollowerState>();
    for (const { state } of this.#connected) if (state.scope.realm === realm) newest.set(state.follower.id, state);
    return [...newest.values()].sort((a, b) => a.follower.id < b.follower.id ? -1 : 1);
  }
}

/** One follower's stream. */
export class Connection implements Disposable {
  state: FollowerState;

  constructor(
    follower: Follower,
    scope: Scope,
    private readonly now: () => number,
    private readonly close: () => void,
  ) {
    this.state = { follower, scope, refused: [], lastSeen: now() };
  }

  /** It changed what it follows: what it holds of the new scope is not known yet. */
  subscribed(scope: Scope): void {
    const { follower, refused } = this.state;
    this.state = { follower, scope, refused, lastSeen: this.now() };
  }

  received(position: Position): void {
    this.state = { ...this.state, received: position, lastSeen: this.now() };
  }

  applied(position: Position, refused: readonly Unusable[]): void {
    this.state = { ...this.state, applied: position, refused, lastSeen: this.now() };
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

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
  readonly connected: boolean;
  /** Wall clock in ms of what it said last; absent: nothing since this process started. */
  readonly lastSeen?: number;
}

export class Followers {
  readonly #connected = new Map<Realm, Set<Connection>>();

  /** `now` is the wall clock in ms; `changed` is called after each word of a follower's. */
  constructor(private readonly now: () => number, private readonly changed: () => void = () => {}) {}

  /** Lists a follower until its connection is disposed. */
  connect(follower: Follower, scope: Scope): Connection {
    const ofRealm = this.#connected.get(scope.realm) ?? new Set();
    const connection: Connection = new Connection(follower, scope, this.now, this.changed, () => {
      ofRealm.delete(connection);
      this.changed();
    });
    this.#connected.set(scope.realm, ofRealm.add(connection));
    this.changed();
    return connection;
  }

  /** By id. Of several connections of one follower the newest speaks for it. */
  of(realm: Realm): ReadonlyMap<string, FollowerState> {
    const newest = new Map<string, FollowerState>();
    for (const { state } of this.#connected.get(realm) ?? []) newest.set(state.follower.id, state);
    return newest;
  }
}

/** One follower's stream. */
export class Connection implements Disposable {
  state: FollowerState;

  constructor(
    follower: Follower,
    scope: Scope,
    private readonly now: () => number,
    private readonly changed: () => void,
    private readonly close: () => void,
  ) {
    this.state = { follower, scope, refused: [], connected: true, lastSeen: now() };
  }

  /** It changed what it follows: what it holds of the new scope is not known yet. */
  subscribed(scope: Scope): void {
    const { follower, refused, connected } = this.state;
    this.#say({ follower, scope, refused, connected });
  }

  received(position: Position): void {
    // Nobody waits for this.
    this.state = { ...this.state, received: position, lastSeen: this.now() };
  }

  applied(position: Position, refused: readonly Unusable[]): void {
    this.#say({ ...this.state, applied: position, refused });
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #say(state: FollowerState): void {
    this.state = { ...state, lastSeen: this.now() };
    this.changed();
  }
}

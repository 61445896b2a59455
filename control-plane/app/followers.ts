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
  /** By realm, then by who it is: the newest connection of each comes last. Nothing is kept of who has gone. */
  private readonly connected = new Map<Realm, Map<string, Connection[]>>();

  /** `now` is the wall clock in ms; `changed` is called after each word of a follower's, with its realm. */
  constructor(private readonly now: () => number, private readonly changed: (realm: Realm) => void = () => {}) {}

  /** Lists a follower until its connection is disposed. */
  connect(follower: Follower, scope: Scope): Connection {
    const { realm } = scope;
    const changed = () => this.changed(realm);
    const connection: Connection = new Connection(follower, scope, this.now, changed, () => {
      this.#remove(realm, connection);
      changed();
    });
    const ofRealm = this.connected.get(realm) ?? new Map<string, Connection[]>();
    const key = keyOf(follower.kind, follower.id);
    const own = ofRealm.get(key) ?? [];
    own.push(connection);
    this.connected.set(realm, ofRealm.set(key, own));
    changed();
    return connection;
  }

  /** In no order. A follower is its kind and id; of several connections of one the newest speaks for it. */
  *of(realm: Realm): Generator<FollowerState> {
    for (const own of this.connected.get(realm)?.values() ?? []) yield own.at(-1)!.state;
  }

  /** One of those. */
  find(realm: Realm, kind: Follower["kind"], id: string): FollowerState | undefined {
    return this.connected.get(realm)?.get(keyOf(kind, id))?.at(-1)?.state;
  }

  #remove(realm: Realm, connection: Connection): void {
    const { kind, id } = connection.state.follower;
    const ofRealm = this.connected.get(realm);
    const own = ofRealm?.get(keyOf(kind, id));
    const at = own?.indexOf(connection) ?? -1;
    if (!ofRealm || !own || at < 0) return;
    own.splice(at, 1);
    if (own.length === 0) ofRealm.delete(keyOf(kind, id));
    if (ofRealm.size === 0) this.connected.delete(realm);
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

function keyOf(kind: Follower["kind"], id: string): string {
  return `${kind}/${id}`;
}

/** Who follows the map over a stream that stands, and how far they say they are. */
import type { Position } from "../domain/cluster_map.ts";
import type { Realm, Revision } from "../domain/names.ts";
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

/** What is known of a stream beside what its follower says. */
export interface Line {
  /** Who is at its other end. */
  readonly peer: string;
  /** Makes its follower say something, if it is still there. */
  readonly ask: () => void;
}

/** Who hears of followers. */
export interface Listener {
  /** One came, went, or said something that counts. */
  changed?(realm: Realm): void;
  /** Two programs are there under one name; said once, until nobody of that name is there any more. */
  doubled?(older: Connection, newer: Connection): void;
  /** The last connection of a follower that said goodbye over another one has ended. */
  gone?(last: Connection): void;
}

/** The connections of one follower. */
interface Own {
  /** The newest comes last. */
  readonly connections: Connection[];
  /** Whether it was said that they are two programs. */
  doubled: boolean;
  /** One said goodbye, and who is left has said nothing since that one came. */
  left: boolean;
}

/** A word that was on its way when its follower came back is read within these, in ms; a later one is another program's. */
const ON_ITS_WAY_MS = 5_000;

/**
 * Who comes back may find its old stream standing, for as long as nobody has noticed that it is dead: a newer connection
 * replaces the older ones of its name, and asks them. One that says something after that is another program under the same
 * name: of those that are there, the one that is furthest behind speaks for the name.
 */
export class Followers {
  /** By realm, then by who it is. Nothing is kept of who has gone. */
  private readonly connected = new Map<Realm, Map<string, Own>>();

  /** `now` is the wall clock in ms. */
  constructor(private readonly now: () => number, private readonly listener: Listener = {}) {}

  /** Lists a follower until its connection is disposed. */
  connect(follower: Follower, scope: Scope, line: Line = NO_LINE): Connection {
    const { realm } = scope;
    const key = keyOf(follower);
    const ofRealm = this.connected.get(realm) ?? new Map<string, Own>();
    const own = ofRealm.get(key) ?? { connections: [], doubled: false, left: false };
    const connection: Connection = new Connection(follower, scope, line, this.now, {
      spoke: () => this.#heard(own, connection),
      changed: () => this.listener.changed?.(realm),
      close: () => this.#remove(own, connection),
    });
    const older = [...own.connections];
    own.connections.push(connection);
    own.left = false;
    this.connected.set(realm, ofRealm.set(key, own));
    for (const one of older) one.replaced = true;
    this.listener.changed?.(realm);
    for (const { line } of older) line.ask();
    return connection;
  }

  /** In no order; each follower, which is its kind and id, once. Who is behind is so against `running`. */
  *of(realm: Realm, running: Position): Generator<FollowerState> {
    for (const { connections } of this.connected.get(realm)?.values() ?? []) {
      yield speakerOf(connections, running).state;
    }
  }

  /** Whether a connection of it stands. */
  has(realm: Realm, follower: Pick<Follower, "kind" | "id">): boolean {
    return this.connected.get(realm)?.has(keyOf(follower)) ?? false;
  }

  /**
   * It says goodbye: answers whether nobody of its name is left. Of a connection that it has replaced nobody knows yet: if
   * that one ends without a word, the listener hears that the follower is gone.
   */
  leave(connection: Connection): boolean {
    const { follower, scope: { realm } } = connection.state;
    const own = this.connected.get(realm)?.get(keyOf(follower));
    if (!own?.connections.includes(connection)) return false;
    const others = own.connections.filter((one) => one !== connection);
    own.left = others.every(({ replaced }) => replaced);
    return others.length === 0;
  }

  #heard(own: Own, connection: Connection): void {
    if (connection.replaced) {
      connection.replaced = false;
      own.left = false;
    }
    const newest = own.connections.at(-1);
    if (own.doubled || !newest || newest === connection) return;
    if (this.now() - newest.since < ON_ITS_WAY_MS) return;
    own.doubled = true;
    this.listener.doubled?.(connection, newest);
  }

  #remove({ connections, left }: Own, connection: Connection): void {
    const { follower, scope: { realm } } = connection.state;
    const at = connections.indexOf(connection);
    if (at < 0) return;
    connections.splice(at, 1);
    if (connections.length === 0) {
      const ofRealm = this.connected.get(realm);
      ofRealm?.delete(keyOf(follower));
      if (ofRealm?.size === 0) this.connected.delete(realm);
      if (left) this.listener.gone?.(connection);
    }
    this.listener.changed?.(realm);
  }
}

/** What a connection tells those who list it. */
interface Hearer {
  spoke(): void;
  changed(): void;
  close(): void;
}

/** One follower's stream. */
export class Connection implements Disposable {
  state: FollowerState;
  /** Wall clock in ms. */
  readonly since: number;
  /** A newer one of the same follower came, and this one has said nothing since. */
  replaced = false;

  constructor(
    follower: Follower,
    scope: Scope,
    readonly line: Line,
    private readonly now: () => number,
    private readonly hearer: Hearer,
  ) {
    this.since = now();
    this.state = { follower, scope, refused: [], connected: true, lastSeen: this.since };
  }

  /** It changed what it follows: what it holds of the new scope is not known yet. */
  subscribed(scope: Scope): void {
    const { follower, refused, connected } = this.state;
    this.#say({ follower, scope, refused, connected });
    this.hearer.changed();
  }

  received(position: Position): void {
    // Nobody waits for this.
    this.#say({ ...this.state, received: position });
  }

  applied(position: Position, refused: readonly Unusable[]): void {
    this.#say({ ...this.state, applied: position, refused });
    this.hearer.changed();
  }

  [Symbol.dispose](): void {
    this.hearer.close();
  }

  #say(state: FollowerState): void {
    this.state = { ...state, lastSeen: this.now() };
    this.hearer.spoke();
  }
}

/** Before every revision. */
const NOWHERE = -1n as Revision;

/** Nowhere: it is not there, in another epoch than the running one, or unable to use something of what it holds. */
export function routedBy({ connected, applied, refused }: FollowerState, { epoch }: Position): Revision {
  return connected && applied?.epoch === epoch && refused.length === 0 ? applied.revision : NOWHERE;
}

const NO_LINE: Line = { peer: "", ask: () => {} };

/** Of those that are there; where all were replaced, their newest. */
function speakerOf(connections: readonly Connection[], running: Position): Connection {
  return connections.reduce((speaker, one) => {
    if (speaker.replaced || one.replaced) return one.replaced && !speaker.replaced ? speaker : one;
    return routedBy(one.state, running) <= routedBy(speaker.state, running) ? one : speaker;
  });
}

function keyOf({ kind, id }: Pick<Follower, "kind" | "id">): string {
  return `${kind}/${id}`;
}

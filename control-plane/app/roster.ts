/**
 * The sidecars that are expected to follow the map: who once connected and never said goodbye. In the store, so that one
 * that is cut off but still routes is missed, also after a restart of the control plane.
 */
import type { Realm } from "../domain/names.ts";
import { NO_REVISION, parseRealm, type Revision } from "../domain/names.ts";
import type { Batch, Commit, Entry, Store, Write } from "../store/store.ts";
import { Lost } from "../store/store.ts";
import type { Log } from "../../proto/log.ts";
import { sleep } from "../../proto/sleep.ts";
import type { Follower } from "./followers.ts";
import { ROSTER_PREFIX } from "./store_keys.ts";
import { fields, must, toBytes } from "./store_values.ts";
import { Turns } from "./turns.ts";

/** A sidecar, and what it follows; without services: all of the realm. */
export interface Expected {
  readonly follower: Follower;
  readonly realm: Realm;
  readonly services?: readonly string[];
  /** Wall clock in ms of its first connection. */
  readonly since: number;
}

/** What was written last; without `expected` it was taken off. */
interface Known {
  readonly expected: Expected | undefined;
  readonly revision: Revision;
}

/** Between two tries to follow the log, in ms: twice as long each time. */
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 2_000;

export class Roster implements AsyncDisposable {
  /** Who was taken off is in it only until the log has told of that. */
  private known = new Map<string, Known>();
  /** Up to here the log has told what was written. */
  #told: Revision = NO_REVISION;
  /** What is said of one sidecar is written in the order in which it was said. */
  readonly #turns = new Turns(1);
  readonly #ended = new AbortController();
  #running: Promise<void> = Promise.resolve();

  private constructor(
    private readonly store: Store,
    private readonly log: Log,
    private readonly changed: (realm: Realm) => void,
  ) {}

  /** Reads it, and follows it from then on; `changed` is called after each change, with its realm. */
  static async open(store: Store, log: Log, changed: (realm: Realm) => void): Promise<Roster> {
    const roster = new Roster(store, log, changed);
    await roster.#read();
    roster.#running = roster.#follow();
    return roster;
  }

  /** In no order. */
  of(realm: Realm): readonly Expected[] {
    return [...this.known.values()].flatMap(({ expected }) => expected?.realm === realm ? expected : []);
  }

  /** Expects a sidecar from now on; writes nothing where it is expected already, as it is. */
  async expect(expected: Expected): Promise<Commit | undefined> {
    const key = keyOf(expected.realm, expected.follower.id);
    using _turn = await this.#turns.take(key);
    const before = this.known.get(key)?.expected;
    const now = { ...expected, since: before?.since ?? expected.since };
    if (JSON.stringify(before) === JSON.stringify(now)) return undefined;
    return await this.#commit({ key, value: toBytes(now) });
  }

  /** Expects it no more; nothing where it was not expected. */
  async forget(realm: Realm, id: string): Promise<Commit | undefined> {
    const key = keyOf(realm, id);
    using _turn = await this.#turns.take(key);
    return this.known.get(key)?.expected && await this.#commit({ key });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }

  async #commit(write: Write): Promise<Commit> {
    const known = this.known.get(write.key);
    const revision = known?.expected ? known.revision : NO_REVISION;
    const commit = await this.store.commit([write], [{ key: write.key, revision }]);
    // Its own watch will say the same; who asks next is to see it.
    if (commit.kind === "committed") this.#take(said(write), commit.revision);
    return commit;
  }

  async #read(): Promise<void> {
    const { revision, entries } = await this.store.read(ROSTER_PREFIX);
    // What cannot be read leaves everything as it is: nobody is to be taken for gone.
    const known = new Map<string, Known>();
    for (const entry of entries) known.set(entry.key, { expected: said(entry).expected, revision: entry.revision });
    // Own writes may be newer.
    for (const [key, one] of this.known) if (one.revision > revision) known.set(key, one);
    const realms = new Set([...this.known.keys(), ...known.keys()].map(realmOf));
    this.known = known;
    this.#told = revision;
    for (const realm of realms) this.changed(realm);
  }

  async #follow(): Promise<void> {
    let delayMs = FIRST_DELAY_MS;
    for (let again = false; !this.#ended.signal.aborted; again = true) {
      try {
        if (again) await this.#read();
        for await (const batch of this.store.watch(ROSTER_PREFIX, this.#told, this.#ended.signal)) {
          this.#hear(batch);
          delayMs = FIRST_DELAY_MS;
        }
      } catch (error) {
        if (this.#ended.signal.aborted) return;
        if (!(error instanceof Lost)) this.log.error("Cannot follow the roster: reading it again", { error, delayMs });
        await sleep(delayMs, this.#ended.signal);
        delayMs = Math.min(2 * delayMs, MAX_DELAY_MS);
      }
    }
  }

  #hear({ writes, revision }: Batch): void {
    for (const one of writes.map(said)) this.#take(one, revision);
    this.#told = revision;
    for (const { key } of writes) {
      const known = this.known.get(key);
      if (known && !known.expected && known.revision <= revision) this.known.delete(key);
    }
  }

  #take({ key, realm, expected }: Said, revision: Revision): void {
    // Own writes are known before the log tells of them, or of what came before them; or after it.
    if (revision <= this.#told || (this.known.get(key)?.revision ?? NO_REVISION) >= revision) return;
    this.known.set(key, { expected, revision });
    this.changed(realm);
  }
}

function keyOf(realm: Realm, id: string): string {
  return `${ROSTER_PREFIX}${realm}/${id}`;
}

function realmOf(key: string): Realm {
  return must(parseRealm(key.split("/")[1] ?? ""));
}

/** What a write says. */
interface Said {
  readonly key: string;
  readonly realm: Realm;
  readonly expected: Expected | undefined;
}

function said({ key, value }: Write | Entry): Said {
  const realm = realmOf(key);
  if (!value) return { key, realm, expected: undefined };
  const { follower, services, since } = fields(value) as unknown as Expected;
  return { key, realm, expected: { follower, realm, ...(services && { services }), since } };
}

/**
 * The sidecars that are expected to follow the map: who once connected and never said goodbye. In the store, so that one
 * that is cut off but still routes is missed, also after a restart of the control plane.
 */
import type { Realm } from "../domain/names.ts";
import { NO_REVISION, parseRealm, type Revision } from "../domain/names.ts";
import type { Commit, Entry, Store, Write } from "../store/store.ts";
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
  readonly expected?: Expected;
  readonly revision: Revision;
}

export class Roster implements AsyncDisposable {
  readonly #known = new Map<string, Known>();
  /** What is said of one sidecar is written in the order in which it was said. */
  readonly #turns = new Turns(1);
  readonly #ended = new AbortController();
  #running: Promise<void> = Promise.resolve();

  private constructor(private readonly store: Store, private readonly log: Log, private readonly changed: () => void) {}

  /** Reads it, and follows it from then on; `changed` is called after each change. */
  static async open(store: Store, log: Log, changed: () => void): Promise<Roster> {
    const roster = new Roster(store, log, changed);
    roster.#running = roster.#follow(await roster.#read());
    return roster;
  }

  /** By id, in byte order. */
  of(realm: Realm): readonly Expected[] {
    const all = [...this.#known.values()].map(({ expected }) => expected).filter((one) => one?.realm === realm);
    return all.filter((one) => one !== undefined).sort((a, b) => a.follower.id < b.follower.id ? -1 : 1);
  }

  /** Expects a sidecar from now on; writes nothing where it is expected already, as it is. */
  async expect(expected: Expected): Promise<Commit | undefined> {
    const key = keyOf(expected.realm, expected.follower.id);
    using _turn = await this.#turns.take(key);
    const before = this.#known.get(key)?.expected;
    const now = { ...expected, since: before?.since ?? expected.since };
    if (JSON.stringify(before) === JSON.stringify(now)) return undefined;
    return await this.#commit({ key, value: toBytes(now) });
  }

  /** Expects it no more; nothing where it was not expected. */
  async forget(realm: Realm, id: string): Promise<Commit | undefined> {
    const key = keyOf(realm, id);
    using _turn = await this.#turns.take(key);
    return this.#known.get(key)?.expected && await this.#commit({ key });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }

  async #commit(write: Write): Promise<Commit> {
    const known = this.#known.get(write.key);
    const revision = known?.expected ? known.revision : NO_REVISION;
    const commit = await this.store.commit([write], [{ key: write.key, revision }]);
    // Its own watch will say the same; who asks next is to see it.
    if (commit.kind === "committed") this.#take(write, commit.revision);
    return commit;
  }

  async #read(): Promise<Revision> {
    const { revision, entries } = await this.store.read(ROSTER_PREFIX);
    this.#known.clear();
    for (const entry of entries) this.#take(entry, entry.revision);
    return revision;
  }

  async #follow(from: Revision): Promise<void> {
    let after = from;
    while (!this.#ended.signal.aborted) {
      try {
        for await (const batch of this.store.watch(ROSTER_PREFIX, after, this.#ended.signal)) {
          after = batch.revision;
          for (const write of batch.writes) this.#take(write, batch.revision);
        }
      } catch (error) {
        if (this.#ended.signal.aborted) return;
        if (!(error instanceof Lost)) this.log.error("Cannot follow the roster: reading it again", { error });
        await sleep(100, this.#ended.signal);
        after = await this.#read().catch(() => after);
      }
    }
  }

  #take({ key, value }: Write | Entry, revision: Revision): void {
    const known = this.#known.get(key);
    // Own writes are known before the log tells of what came before them.
    if (known && known.revision >= revision) return;
    this.#known.set(key, { ...(value && { expected: parse(key, value) }), revision });
    this.changed();
  }
}

function keyOf(realm: Realm, id: string): string {
  return `${ROSTER_PREFIX}${realm}/${id}`;
}

function parse(key: string, value: Uint8Array): Expected {
  const { follower, services, since } = fields(value) as unknown as Expected;
  const realm = must(parseRealm(key.split("/")[1] ?? ""));
  return { follower, realm, ...(services && { services }), since };
}

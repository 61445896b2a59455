/** A store that ends with its process: for tests and for trying things out. */
import { NO_REVISION, type Revision } from "../domain/names.ts";
import { byBytes } from "./byte_order.ts";
import { Feed, type FeedLimits, under } from "./feed.ts";
import { Prefixes } from "./prefixes.ts";
import { type Batch, type Commit, type Entry, type Guard, Lost } from "./store.ts";
import type { Snapshot, Store, Sweep, Until, Write } from "./store.ts";
import { isSweep, writesProblem } from "./writes.ts";

/** An empty store. "Durable" means here: as long as the process lives. */
export function openMemoryStore(limits?: FeedLimits): Store {
  return new MemoryStore(limits);
}

/** A commit, and what it overwrote: an entry, or nothing, for each of its writes. */
interface Logged {
  readonly batch: Batch;
  readonly before: readonly (Entry | undefined)[];
}

class MemoryStore implements Store {
  readonly restored = false;
  readonly #entries = new Map<string, Entry>();
  readonly #feed: Feed;
  /** All commits after `#remembered`: their revisions leave no number out. */
  #log: Logged[] = [];
  #remembered = NO_REVISION;
  #revision = NO_REVISION;
  #closed = false;

  constructor(limits?: FeedLimits) {
    this.#feed = new Feed(this.#revision, (prefix, after) => this.history(prefix, after), limits);
  }

  // deno-lint-ignore require-await -- what is thrown has to arrive as a rejection
  async read(prefix: string | readonly string[], at = this.#revision, signal?: AbortSignal): Promise<Snapshot> {
    this.#mustBeOpen();
    signal?.throwIfAborted();
    const prefixes = new Prefixes(prefix);
    const revision = at < this.#revision ? at : this.#revision;
    // A copy only where something is undone in it.
    const entries = revision < this.#revision ? new Map(this.#entries) : this.#entries;
    for (const { batch, before } of this.#after(revision).reverse()) {
      batch.writes.forEach(({ key }, nth) => place(entries, key, before[nth]));
    }
    const found: Entry[] = [];
    for (const [key, entry] of entries) if (prefixes.begin(key)) found.push(entry);
    return { revision, entries: found.sort((a, b) => byBytes(a.key, b.key)) };
  }

  // deno-lint-ignore require-await -- as above
  async commit(writes: readonly (Write | Sweep)[], guards: readonly Guard[] = []): Promise<Commit> {
    this.#mustBeOpen();
    const problem = writesProblem(writes);
    if (problem !== undefined) return { kind: "refused", reason: problem };
    if (!guards.every(({ key, revision }) => (this.#entries.get(key)?.revision ?? NO_REVISION) === revision)) {
      return { kind: "conflict" };
    }
    const all = writes.flatMap((write) => isSweep(write) ? this.#deletions(write) : [write]);
    if (all.length === 0) return { kind: "committed", revision: this.#revision };
    const revision = this.#revision + 1n as Revision;
    const batch = { revision, writes: all };
    this.#log.push({ batch, before: all.map(({ key }) => this.#entries.get(key)) });
    for (const { key, value } of all) place(this.#entries, key, value && { key, value, revision });
    this.#revision = revision;
    this.#feed.publish([batch]);
    return { kind: "committed", revision };
  }

  watch(prefix: string, after: Revision, signal: AbortSignal): AsyncIterable<Batch> {
    return this.#feed.watch(prefix, after, signal);
  }

  history(prefix: string, after: Revision, { upTo = this.#revision, signal }: Until = {}): AsyncIterable<Batch> {
    return this.#between(prefix, after, upTo < this.#revision ? upTo : this.#revision, signal);
  }

  // deno-lint-ignore require-await -- as above
  async forget(upTo: Revision, signal?: AbortSignal): Promise<void> {
    this.#mustBeOpen();
    signal?.throwIfAborted();
    const remembered = upTo < this.#revision ? upTo : this.#revision;
    if (remembered <= this.#remembered) return;
    this.#log = this.#after(remembered);
    this.#remembered = remembered;
  }

  remembered(): Revision {
    return this.#remembered;
  }

  // deno-lint-ignore require-await -- nothing to wait for
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#feed.close();
  }

  async *#between(
    prefix: string,
    after: Revision,
    last: Revision,
    signal?: AbortSignal,
  ): AsyncGenerator<Batch, void, void> {
    this.#mustBeOpen();
    this.#after(after, 0);
    for (let position = after; position < last; position++) {
      signal?.throwIfAborted();
      const [next] = this.#after(position, 1);
      const mine = next && under(prefix, next.batch);
      if (mine && mine.writes.length > 0) yield mine;
    }
  }

  /** The commits after a revision, all or so many. Throws {@link Lost}. */
  #after(revision: Revision, most = Infinity): Logged[] {
    if (revision < this.#remembered) throw new Lost(revision);
    const first = Number(revision - this.#remembered);
    return this.#log.slice(first, first + most);
  }

  #deletions({ prefix }: Sweep): readonly Write[] {
    return [...this.#entries.keys()].filter((key) => key.startsWith(prefix)).sort(byBytes).map((key) => ({ key }));
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new Error("Cannot use the store: it is closed");
  }
}

function place(entries: Map<string, Entry>, key: string, entry: Entry | undefined): void {
  if (entry === undefined) entries.delete(key);
  else entries.set(key, entry);
}

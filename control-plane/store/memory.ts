/** A store that ends with its process: for tests and for trying things out. */
import { NO_REVISION, type Revision } from "../domain/names.ts";
import { Feed, type FeedLimits } from "./feed.ts";
import type { Batch, Commit, Entry, Guard, Snapshot, Store, Write } from "./store.ts";
import { writesProblem } from "./writes.ts";

/** An empty store. "Durable" means here: as long as the process lives. */
export function openMemoryStore(limits?: FeedLimits): Store {
  return new MemoryStore(limits);
}

class MemoryStore implements Store {
  readonly #entries = new Map<string, Entry>();
  readonly #feed: Feed;
  #revision = NO_REVISION;
  #closed = false;

  constructor(limits?: FeedLimits) {
    this.#feed = new Feed(this.#revision, limits);
  }

  // deno-lint-ignore require-await -- what is thrown has to arrive as a rejection
  async read(prefix: string): Promise<Snapshot> {
    this.#mustBeOpen();
    const entries = [...this.#entries.values()].filter(({ key }) => key.startsWith(prefix));
    return { revision: this.#revision, entries: entries.sort((a, b) => compareBytes(a.key, b.key)) };
  }

  // deno-lint-ignore require-await -- as above
  async commit(writes: readonly Write[], guards: readonly Guard[] = []): Promise<Commit> {
    this.#mustBeOpen();
    const problem = writesProblem(writes);
    if (problem !== undefined) return { kind: "refused", reason: problem };
    if (!guards.every(({ key, revision }) => (this.#entries.get(key)?.revision ?? NO_REVISION) === revision)) {
      return { kind: "conflict" };
    }
    const revision = this.#revision + 1n as Revision;
    for (const { key, value } of writes) {
      if (value === undefined) this.#entries.delete(key);
      else this.#entries.set(key, { key, value, revision });
    }
    this.#revision = revision;
    this.#feed.publish([{ revision, writes: [...writes] }]);
    return { kind: "committed", revision };
  }

  watch(prefix: string, after: Revision, signal: AbortSignal): AsyncIterable<Batch> {
    return this.#feed.watch(prefix, after, signal);
  }

  // deno-lint-ignore require-await -- nothing to wait for
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#feed.close();
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new Error("Cannot use the store: it is closed");
  }
}

const utf8 = new TextEncoder();

// The order of UTF-16 units, which is JavaScript's, differs beyond U+FFFF.
function compareBytes(a: string, b: string): number {
  if (a === b) return 0;
  const [left, right] = [utf8.encode(a), utf8.encode(b)];
  const end = Math.min(left.length, right.length);
  for (let at = 0; at < end; at++) {
    if (left[at] !== right[at]) return left[at]! - right[at]!;
  }
  return left.length - right.length;
}

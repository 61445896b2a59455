/**
 * The past of a store in its SQLite file: a log of every write and of what it overwrote. It can be long, and SQLite blocks
 * the event loop, so it is gone through in slices, one a turn of the loop whoever asks for it; commits come in between, and
 * what they append or delete changes nothing of what is read.
 */
import type { DatabaseSync } from "node:sqlite";
import { NO_REVISION, type Revision } from "../domain/names.ts";
import { byBytes } from "./byte_order.ts";
import type { Prefixes } from "./prefixes.ts";
import { checked, entryOf, prepareExact, type Said } from "./sqlite_rows.ts";
import { type Batch, type Entry, Lost, type Write } from "./store.ts";

/** How many rows are read or deleted before others have their turn: a few ms. */
const SLICE = 500;

export class SqlitePast {
  readonly #sql: Statements;
  readonly #mustBeOpen: () => void;
  #remembered: Revision;
  /** The last of the turns that somebody waits for. */
  #turns: Promise<void> = Promise.resolve();
  /** The last of the reads. */
  #reads: Promise<unknown> = Promise.resolve();

  /** `mustBeOpen` throws once the file is closed, which may be between any two slices. */
  constructor(file: DatabaseSync, mustBeOpen: () => void) {
    this.#sql = prepare(file);
    this.#mustBeOpen = mustBeOpen;
    this.#remembered = this.#sql.remembered.get()?.["revision"] as Revision;
  }

  remembered(): Revision {
    return this.#remembered;
  }

  /** The newest revision in the file. */
  newest(): Revision {
    return this.#sql.newest.get()?.["revision"] as Revision | undefined ?? this.#remembered;
  }

  /** What was under `prefixes` as of an older revision, in order of keys, after all reads before it. Throws {@link Lost}. */
  read(prefixes: Prefixes, at: Revision, signal?: AbortSignal): Promise<readonly Entry[]> {
    const read = this.#reads.then(() => this.#read(prefixes, at, signal));
    this.#reads = read.catch(() => {});
    return read;
  }

  async #read(prefixes: Prefixes, at: Revision, signal?: AbortSignal): Promise<readonly Entry[]> {
    signal?.throwIfAborted();
    this.#mustBeOpen();
    this.#mustRemember(at);
    const found = await this.#entries(prefixes, signal);
    const undone = new Set<string>();
    const end = this.#ends().last + 1;
    for (let from = this.#firstAfter(at); from < end; from += SLICE) {
      await this.#turn(signal);
      for (const row of this.#sql.befores.all(from, Math.min(from + SLICE, end), prefixes.common)) {
        const key = row["key"] as string;
        // The oldest write after `at` overwrote what was there at `at`.
        if (undone.has(key) || !prefixes.begin(key)) continue;
        undone.add(key);
        if (row["revision"] === null) found.delete(key);
        else found.set(key, entryOf(row));
      }
    }
    // Others may have forgotten meanwhile what was to be undone.
    this.#mustRemember(at);
    return [...found.values()].sort((a, b) => byBytes(a.key, b.key));
  }

  /** The commits after `after` up to `upTo`, the parts of them under `prefix`. Throws {@link Lost}. */
  async *history(
    prefix: string,
    after: Revision,
    upTo: Revision,
    signal?: AbortSignal,
  ): AsyncGenerator<Batch, void, void> {
    this.#mustBeOpen();
    this.#mustRemember(after);
    const end = this.#firstAfter(upTo);
    let batch: { readonly revision: Revision; readonly writes: Write[] } | undefined;
    for (let from = this.#firstAfter(after); from < end; from += SLICE) {
      await this.#turn(signal);
      if (!this.#has(from)) throw new Lost(after);
      for (const row of this.#sql.writes.all(from, Math.min(from + SLICE, end), prefix)) {
        const { key, value, revision } = checked(row as unknown as Said);
        // A commit may go on in the next slice, so it is complete when another one begins.
        if (batch?.revision !== revision) {
          if (batch) yield batch;
          batch = { revision, writes: [] };
        }
        batch.writes.push(value ? { key, value } : { key });
      }
    }
    if (batch) yield batch;
  }

  /** Deletes what only revisions before `upTo` need. Said first and then done: what is left undone, the next call does. */
  async forget(upTo: Revision, signal?: AbortSignal): Promise<void> {
    if (upTo > this.#remembered) {
      this.#sql.remember.run(upTo);
      this.#remembered = upTo;
    }
    for (;;) {
      const { first, last } = this.#ends();
      // The newest row stays: revisions and ids go on from it.
      const end = Math.min(this.#firstAfter(this.#remembered), last);
      if (first >= end) return;
      await this.#turn(signal);
      this.#sql.forget.run(Math.min(first + SLICE, end));
    }
  }

  /** Everything under `prefixes`, each slice as of another revision. */
  async #entries({ inOrder }: Prefixes, signal?: AbortSignal): Promise<Map<string, Entry>> {
    const found = new Map<string, Entry>();
    let left = 0;
    for (const prefix of inOrder) {
      for (let from: string | undefined = prefix; from !== undefined;) {
        if (left <= 0) {
          await this.#turn(signal);
          left = SLICE;
        }
        const start: string = from;
        from = undefined;
        for (const row of this.#sql.from.iterate(start)) {
          const { key } = row as unknown as Said;
          // To look and find nothing takes as long as a row.
          left--;
          if (!key.startsWith(prefix)) break;
          if (left < 0) {
            from = key;
            break;
          }
          found.set(key, entryOf(row));
        }
      }
    }
    return found;
  }

  /** Waits until others have had their turn, in the order in which they came. */
  async #turn(signal?: AbortSignal): Promise<void> {
    this.#turns = this.#turns.then(() => new Promise((resolve) => setImmediate(resolve)));
    await this.#turns;
    this.#mustBeOpen();
    signal?.throwIfAborted();
  }

  #mustRemember(revision: Revision): void {
    if (revision < this.#remembered) throw new Lost(revision);
  }

  /** Whether the row, and so all after it, is neither deleted nor about to be. */
  #has(id: number): boolean {
    const revision = this.#sql.revisionOf.get(id)?.["revision"] as Revision | undefined ?? NO_REVISION;
    return revision > this.#remembered;
  }

  /** The id of the first row after a revision, by bisection: ids rise with revisions and leave no number out. */
  #firstAfter(revision: Revision): number {
    const { first, last } = this.#ends();
    let low = first;
    let high = last + 1;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.#sql.isAfter.get(middle, revision)?.["after"] === 1) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The ids of the first and the last row. */
  #ends(): { readonly first: number; readonly last: number } {
    return this.#sql.ends.get() as { first: number; last: number };
  }
}

type Statements = ReturnType<typeof prepare>;

function prepare(file: DatabaseSync) {
  const exact = (sql: string) => prepareExact(file, sql);
  const slice = "FROM log WHERE id >= ?1 AND id < ?2 AND substr(key, 1, length(?3)) = ?3 ORDER BY id";
  return {
    remembered: exact("SELECT revision FROM remembered"),
    remember: file.prepare("UPDATE remembered SET revision = ?"),
    forget: file.prepare("DELETE FROM log WHERE id < ?"),
    newest: exact("SELECT revision FROM log ORDER BY id DESC LIMIT 1"),
    revisionOf: exact("SELECT revision FROM log WHERE id = ?"),
    isAfter: file.prepare("SELECT revision > ?2 AS after FROM log WHERE id = ?1"),
    ends: file.prepare(
      "SELECT ifnull((SELECT min(id) FROM log), 1) AS first, ifnull((SELECT max(id) FROM log), 0) AS last",
    ),
    writes: exact(`SELECT revision, key, value, sum ${slice}`),
    befores: exact(`SELECT key, before AS value, before_revision AS revision, before_sum AS sum ${slice}`),
    from: exact("SELECT key, value, revision, sum FROM entries WHERE key >= ? ORDER BY key"),
  };
}

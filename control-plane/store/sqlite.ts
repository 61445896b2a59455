/**
 * The store in one SQLite file; `sqlite_file.ts` opens it so that a commit waits for the disk. Commits that arrive
 * together share one transaction, so they share that wait.
 */
import type { DatabaseSync } from "node:sqlite";
import { NO_REVISION, type Revision } from "../domain/names.ts";
import { Feed, type FeedLimits } from "./feed.ts";
import { Prefixes } from "./prefixes.ts";
import { SqliteBackup } from "./sqlite_backup.ts";
import { isCopy, openSqliteFile, SQLITE_FULL, sqliteCode, unmarkCopy } from "./sqlite_file.ts";
import { SqlitePast } from "./sqlite_past.ts";
import { entryOf, prepareExact, sumOf } from "./sqlite_rows.ts";
import type { Batch, Commit, Entry, Guard, Snapshot, Store, Sweep, Until, Write } from "./store.ts";
import { isSweep, writesProblem, writesSize } from "./writes.ts";

/** Opens or creates the file at `path` for this process alone. Throws `CannotOpenStore`. */
export function openSqliteStore(path: string, limits?: FeedLimits): Store {
  return new SqliteStore(path, openSqliteFile(path), limits);
}

interface Pending {
  readonly writes: readonly (Write | Sweep)[];
  readonly guards: readonly Guard[];
  readonly answer: (commit: Commit) => void;
}

/** One commit of a group, judged, and what it wrote; valid once the group's transaction is durable. */
interface Judged {
  readonly pending: Pending;
  readonly commit: Commit;
  readonly writes?: readonly Write[];
}

/** SQLite blocks the event loop: about 10 ms of writing, or one large commit, before others have their turn. */
const GROUP = { writes: 1_000, bytes: 1 << 20 };

class SqliteStore implements Store {
  readonly #path: string;
  readonly #file: DatabaseSync;
  readonly #sql: Statements;
  readonly #past: SqlitePast;
  readonly #backup: SqliteBackup;
  readonly #feed: Feed;
  #revision: Revision;
  #restored: boolean;
  #queue: Pending[] = [];
  #closed: Promise<void> | undefined;

  constructor(path: string, file: DatabaseSync, limits?: FeedLimits) {
    this.#path = path;
    this.#file = file;
    this.#sql = prepare(file);
    this.#past = new SqlitePast(file, () => this.#mustBeOpen());
    this.#backup = new SqliteBackup(path, file);
    this.#revision = this.#past.newest();
    this.#restored = isCopy(file);
    this.#feed = new Feed(this.#revision, (prefix, after) => this.history(prefix, after), limits);
  }

  get restored(): boolean {
    return this.#restored;
  }

  async read(prefix: string | readonly string[], at = this.#revision, signal?: AbortSignal): Promise<Snapshot> {
    this.#mustBeOpen();
    const prefixes = new Prefixes(prefix);
    if (at < this.#revision) return { revision: at, entries: await this.#past.read(prefixes, at, signal) };
    signal?.throwIfAborted();
    return { revision: this.#revision, entries: prefixes.inOrder.flatMap((one) => this.#read(one)) };
  }

  // deno-lint-ignore require-await -- what is thrown has to arrive as a rejection
  async commit(writes: readonly (Write | Sweep)[], guards: readonly Guard[] = []): Promise<Commit> {
    this.#mustBeOpen();
    const problem = writesProblem(writes);
    if (problem !== undefined) return { kind: "refused", reason: problem };
    return new Promise((answer) => {
      if (this.#queue.push({ writes, guards, answer }) === 1) this.#gather(0);
    });
  }

  watch(prefix: string, after: Revision, signal: AbortSignal): AsyncIterable<Batch> {
    return this.#feed.watch(prefix, after, signal);
  }

  history(prefix: string, after: Revision, { upTo = this.#revision, signal }: Until = {}): AsyncIterable<Batch> {
    return this.#past.history(prefix, after, upTo < this.#revision ? upTo : this.#revision, signal);
  }

  async forget(upTo: Revision, signal?: AbortSignal): Promise<void> {
    this.#mustBeOpen();
    try {
      await this.#past.forget(upTo < this.#revision ? upTo : this.#revision, signal);
    } catch (error) {
      this.#mustBeOpen();
      signal?.throwIfAborted();
      throw new Error(this.#reason(error), { cause: error });
    }
  }

  remembered(): Revision {
    return this.#past.remembered();
  }

  async backup(path: string): Promise<void> {
    this.#mustBeOpen();
    await this.#backup.write(path);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    while (this.#queue.length > 0) this.#flush();
    this.#feed.close();
    await this.#backup.idle();
    this.#file.close();
    this.#backup.close();
  }

  #read(prefix: string): readonly Entry[] {
    const entries = [];
    for (const row of this.#sql.from.iterate(prefix)) {
      if (!(row["key"] as string).startsWith(prefix)) break;
      entries.push(entryOf(row));
    }
    return entries;
  }

  /** Who waits for the disk waits together: a group is complete once a turn of the event loop has brought nothing more. */
  #gather(known: number): void {
    // A timer of 0 would wait for milliseconds, a microtask would gather nothing.
    setImmediate(() => {
      if (this.#closed) return;
      const { length } = this.#queue;
      if (length > known && length > 1 && length < GROUP.writes) return this.#gather(length);
      this.#flush();
      if (this.#queue.length > 0) this.#gather(0);
    });
  }

  /** Writes one group; answers and deliveries come after the disk has it. */
  #flush(): void {
    const group = takeGroup(this.#queue);
    this.#queue = this.#queue.slice(group.length);
    const judged = this.#transact(group);
    const batches = judged.flatMap(({ commit, writes }) =>
      commit.kind === "committed" && writes ? [{ revision: commit.revision, writes }] : []
    );
    this.#revision = batches.at(-1)?.revision ?? this.#revision;
    this.#restored &&= batches.length === 0;
    this.#feed.publish(batches);
    for (const { pending, commit } of judged) pending.answer(commit);
  }

  #transact(group: readonly Pending[]): readonly Judged[] {
    let judged: readonly Judged[];
    try {
      this.#sql.begin.run();
      judged = this.#apply(group);
      if (this.#restored && judged.some(({ writes }) => writes)) unmarkCopy(this.#file);
    } catch (error) {
      this.#rollBack();
      const commit: Commit = { kind: "refused", reason: this.#reason(error) };
      return group.map((pending) => ({ pending, commit }));
    }
    try {
      this.#sql.commit.run();
      return judged;
    } catch (error) {
      this.#rollBack();
      // A full disk cut the log off before its end. After any other failure (of fsync, above all) the whole commit may lie
      // in the log, to be found when the file is opened next, unless another commit has taken its place.
      const kind = sqliteCode(error) === SQLITE_FULL ? "refused" : "unknown";
      const reason = this.#reason(error);
      return judged.map(({ pending, commit }) => ({
        pending,
        commit: { kind: commit.kind === "committed" ? kind : "refused", reason },
      }));
    }
  }

  /** Judges guards and writes in the order of arrival, inside the transaction: a later commit sees the earlier ones. */
  #apply(group: readonly Pending[]): readonly Judged[] {
    let revision = this.#revision;
    return group.map((pending): Judged => {
      if (!pending.guards.every((guard) => this.#revisionOf(guard.key) === guard.revision)) {
        return { pending, commit: { kind: "conflict" } };
      }
      const writes = pending.writes.flatMap((write) => isSweep(write) ? this.#deletions(write) : [write]);
      if (writes.length === 0) return { pending, commit: { kind: "committed", revision } };
      revision = revision + 1n as Revision;
      for (const write of writes) this.#write(write, revision);
      return { pending, commit: { kind: "committed", revision }, writes };
    });
  }

  #write({ key, value }: Write, revision: Revision): void {
    const sum = sumOf(key, revision, value);
    this.#sql.log.run(revision, key, value ?? null, sum);
    if (value === undefined) this.#sql.remove.run(key);
    else this.#sql.put.run(key, value, revision, sum);
  }

  #deletions({ prefix }: Sweep): readonly Write[] {
    const keys = [];
    for (const row of this.#sql.keysFrom.iterate(prefix)) {
      const key = row["key"] as string;
      if (!key.startsWith(prefix)) break;
      keys.push({ key });
    }
    return keys;
  }

  #revisionOf(key: string): Revision {
    return this.#sql.revisionOf.get(key)?.["revision"] as Revision | undefined ?? NO_REVISION;
  }

  #rollBack(): void {
    // After some errors SQLite has done so itself.
    if (this.#file.isTransaction) this.#sql.rollback.run();
  }

  #reason(error: unknown): string {
    return `Cannot write to the store "${this.#path}": ${(error as Error).message}`;
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new Error("Cannot use the store: it is closed");
  }
}

/** The first commits of the queue that fit into one group; one always does. */
function takeGroup(queue: readonly Pending[]): readonly Pending[] {
  let writes = 0;
  let bytes = 0;
  const beyond = queue.findIndex((pending, at) => {
    writes += pending.writes.length;
    bytes += writesSize(pending.writes);
    return at > 0 && (writes > GROUP.writes || bytes > GROUP.bytes);
  });
  return beyond === -1 ? queue : queue.slice(0, beyond);
}

type Statements = ReturnType<typeof prepare>;

function prepare(file: DatabaseSync) {
  const exact = (sql: string) => prepareExact(file, sql);
  return {
    begin: file.prepare("BEGIN IMMEDIATE"),
    commit: file.prepare("COMMIT"),
    rollback: file.prepare("ROLLBACK"),
    from: exact("SELECT key, value, revision, sum FROM entries WHERE key >= ? ORDER BY key"),
    keysFrom: file.prepare("SELECT key FROM entries WHERE key >= ? ORDER BY key"),
    revisionOf: exact("SELECT revision FROM entries WHERE key = ?"),
    put: file.prepare("INSERT OR REPLACE INTO entries (key, value, revision, sum) VALUES (?, ?, ?, ?)"),
    remove: file.prepare("DELETE FROM entries WHERE key = ?"),
    // What is overwritten never leaves SQLite. FAIL: what fails ends the whole group, so none is prepared to be undone alone.
    log: file.prepare(`
      INSERT OR FAIL INTO log (revision, key, value, sum, before, before_revision, before_sum)
      SELECT ?1, ?2, ?3, ?4, value, revision, sum FROM (SELECT 1) LEFT JOIN entries ON key = ?2`),
  };
}

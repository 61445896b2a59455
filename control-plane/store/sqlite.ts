/**
 * The store in one SQLite file; `sqlite_file.ts` opens it so that a commit waits for the disk. Commits that arrive
 * together share one transaction, so they share that wait.
 */
import type { DatabaseSync } from "node:sqlite";
import { NO_REVISION, type Revision } from "../domain/names.ts";
import { Feed, type FeedLimits } from "./feed.ts";
import { openSqliteFile, SQLITE_FULL, sqliteCode } from "./sqlite_file.ts";
import type { Batch, Commit, Guard, Snapshot, Store, Write } from "./store.ts";
import { writesProblem, writesSize } from "./writes.ts";

/** Opens or creates the file at `path` for this process alone. Throws `CannotOpenStore`. */
export function openSqliteStore(path: string, limits?: FeedLimits): Store {
  return new SqliteStore(path, openSqliteFile(path), limits);
}

interface Pending {
  readonly writes: readonly Write[];
  readonly guards: readonly Guard[];
  readonly answer: (commit: Commit) => void;
}

/** One commit of a group, judged; valid once the group's transaction is durable. */
interface Judged {
  readonly pending: Pending;
  readonly commit: Commit;
}

/** SQLite blocks the event loop: about 10 ms of writing, or one large commit, before others have their turn. */
const GROUP = { writes: 1_000, bytes: 1 << 20 };

class SqliteStore implements Store {
  readonly #path: string;
  readonly #file: DatabaseSync;
  readonly #sql: Statements;
  readonly #feed: Feed;
  #revision: Revision;
  #queue: Pending[] = [];
  #closed = false;

  constructor(path: string, file: DatabaseSync, limits?: FeedLimits) {
    this.#path = path;
    this.#file = file;
    this.#sql = prepare(file);
    this.#revision = this.#sql.clock.get()?.["revision"] as Revision;
    this.#feed = new Feed(this.#revision, limits);
  }

  // deno-lint-ignore require-await -- what is thrown has to arrive as a rejection
  async read(prefix: string): Promise<Snapshot> {
    this.#mustBeOpen();
    const entries = [];
    for (const row of this.#sql.from.iterate(prefix)) {
      const key = row["key"] as string;
      if (!key.startsWith(prefix)) break;
      entries.push({ key, value: row["value"] as Uint8Array, revision: row["revision"] as Revision });
    }
    return { revision: this.#revision, entries };
  }

  // deno-lint-ignore require-await -- as above
  async commit(writes: readonly Write[], guards: readonly Guard[] = []): Promise<Commit> {
    this.#mustBeOpen();
    const problem = writesProblem(writes);
    if (problem !== undefined) return { kind: "refused", reason: problem };
    return new Promise((answer) => {
      // A timer of 0 would wait for milliseconds, a microtask would gather nothing.
      if (this.#queue.push({ writes, guards, answer }) === 1) setImmediate(() => this.#next());
    });
  }

  watch(prefix: string, after: Revision, signal: AbortSignal): AsyncIterable<Batch> {
    return this.#feed.watch(prefix, after, signal);
  }

  // deno-lint-ignore require-await -- nothing to wait for
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    while (this.#queue.length > 0) this.#flush();
    this.#feed.close();
    this.#file.close();
  }

  #next(): void {
    if (this.#closed) return;
    this.#flush();
    if (this.#queue.length > 0) setImmediate(() => this.#next());
  }

  /** Writes one group; answers and deliveries come after the disk has it. */
  #flush(): void {
    const group = takeGroup(this.#queue);
    this.#queue = this.#queue.slice(group.length);
    const judged = this.#transact(group);
    const batches = judged.flatMap(({ pending: { writes }, commit }) =>
      commit.kind === "committed" ? [{ revision: commit.revision, writes }] : []
    );
    this.#revision = batches.at(-1)?.revision ?? this.#revision;
    this.#feed.publish(batches);
    for (const { pending, commit } of judged) pending.answer(commit);
  }

  #transact(group: readonly Pending[]): readonly Judged[] {
    let judged: readonly Judged[];
    try {
      this.#sql.begin.run();
      judged = this.#apply(group);
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
    const judged = group.map((pending): Judged => {
      if (!pending.guards.every((guard) => this.#revisionOf(guard.key) === guard.revision)) {
        return { pending, commit: { kind: "conflict" } };
      }
      revision = revision + 1n as Revision;
      for (const { key, value } of pending.writes) {
        if (value === undefined) this.#sql.remove.run(key);
        else this.#sql.put.run(key, value, revision);
      }
      return { pending, commit: { kind: "committed", revision } };
    });
    if (revision > this.#revision) this.#sql.tick.run(revision);
    return judged;
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
  // Revisions outgrow what a number holds.
  const exact = (sql: string) => {
    const statement = file.prepare(sql);
    statement.setReadBigInts(true);
    return statement;
  };
  return {
    begin: file.prepare("BEGIN IMMEDIATE"),
    commit: file.prepare("COMMIT"),
    rollback: file.prepare("ROLLBACK"),
    clock: exact("SELECT revision FROM clock"),
    tick: file.prepare("UPDATE clock SET revision = ?"),
    from: exact("SELECT key, value, revision FROM entries WHERE key >= ? ORDER BY key"),
    revisionOf: exact("SELECT revision FROM entries WHERE key = ?"),
    put: file.prepare("INSERT OR REPLACE INTO entries (key, value, revision) VALUES (?, ?, ?)"),
    remove: file.prepare("DELETE FROM entries WHERE key = ?"),
  };
}

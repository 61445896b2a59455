/** SQLite as the store uses it and nothing else: what a durable write costs at least. */
import { DatabaseSync } from "node:sqlite";

export class BareStore implements Disposable {
  readonly #file: DatabaseSync;
  readonly #run: Readonly<Record<"begin" | "commit" | "put", ReturnType<DatabaseSync["prepare"]>>>;
  #queue: { key: string; value: Uint8Array; done: () => void }[] = [];

  constructor(path: string) {
    this.#file = new DatabaseSync(path);
    this.#file.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
    this.#file.exec("CREATE TABLE entries (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID");
    this.#run = {
      begin: this.#file.prepare("BEGIN IMMEDIATE"),
      commit: this.#file.prepare("COMMIT"),
      put: this.#file.prepare("INSERT OR REPLACE INTO entries (key, value) VALUES (?, ?)"),
    };
  }

  /** One write in one transaction; on the disk when it returns. */
  put(key: string, value: Uint8Array): void {
    this.#run.begin.run();
    this.#run.put.run(key, value);
    this.#run.commit.run();
  }

  /** Writes that come in one turn of the event loop share a transaction. Resolves when it is on the disk. */
  putTogether(key: string, value: Uint8Array): Promise<void> {
    return new Promise((done) => {
      if (this.#queue.push({ key, value, done }) === 1) setImmediate(() => this.#flush());
    });
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  #flush(): void {
    const queue = this.#queue;
    this.#queue = [];
    this.#run.begin.run();
    for (const { key, value } of queue) this.#run.put.run(key, value);
    this.#run.commit.run();
    for (const { done } of queue) done();
  }
}

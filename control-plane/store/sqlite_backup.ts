/** Copies the SQLite file of an open store while commits go on. */
import { dirname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { LOG_PAGES, markCopy, pragma } from "./sqlite_file.ts";

/** How much is copied before others have their turn, in bytes: well below 1 ms, where the file is in memory. */
const CHUNK = 256 << 10;
/** How many of them go to the disk at once. */
const SYNCED = 16;

/**
 * Between two checkpoints of the write-ahead log nothing of the file itself changes. So a copy of it that is made while
 * checkpoints wait is what the store was at the last one.
 */
export class SqliteBackup {
  readonly #path: string;
  readonly #file: DatabaseSync;
  #source: Deno.FsFile | undefined;
  #last: Promise<void> = Promise.resolve();

  constructor(path: string, file: DatabaseSync) {
    this.#path = path;
    this.#file = file;
  }

  /** One after the other: the checkpoint of the next would change what this one reads. */
  write(path: string): Promise<void> {
    const written = this.#last.then(() => this.#write(path));
    this.#last = written.catch(() => {});
    return written;
  }

  /** Resolves once none is under way: only then may the store's file be closed, which is a checkpoint too. */
  idle(): Promise<void> {
    return this.#last;
  }

  /** Once the store's file is closed. */
  close(): void {
    this.#source?.close();
  }

  async #write(path: string): Promise<void> {
    let part;
    try {
      if (await exists(path)) throw new Error("expected a new file, this one exists");
      part = await Deno.makeTempFile({ dir: dirname(path), prefix: "backup-", suffix: ".part" });
      await this.#copyTo(part);
      await Deno.rename(part, path);
      await sync(dirname(path));
    } catch (error) {
      if (part !== undefined) await Deno.remove(part).catch(() => {});
      throw new Error(`Cannot back up to "${path}": ${(error as Error).message}`, { cause: error });
    }
  }

  async #copyTo(path: string): Promise<void> {
    pragma(this.#file, "wal_autocheckpoint = 0");
    try {
      if (pragma(this.#file, "wal_checkpoint(TRUNCATE)") !== 0) throw new Error("the store's file is in use");
      // Closing any descriptor of the file gives up the lock that SQLite holds on it (POSIX). So this one stays open as
      // long as the store, and is read synchronously: what is asynchronous works on a duplicate, and closes that.
      this.#source ??= Deno.openSync(this.#path);
      using copy = await Deno.open(path, { write: true });
      await copyAll(this.#source, copy);
    } finally {
      pragma(this.#file, `wal_autocheckpoint = ${LOG_PAGES}`);
    }
  }
}

async function copyAll(source: Deno.FsFile, copy: Deno.FsFile): Promise<void> {
  const chunk = new Uint8Array(CHUNK);
  source.seekSync(0, Deno.SeekMode.Start);
  for (let chunks = 1, read = source.readSync(chunk); read !== null; chunks++, read = source.readSync(chunk)) {
    if (chunks === 1) markCopy(chunk);
    for (let written = 0; written < read;) written += await copy.write(chunk.subarray(written, read));
    // Little by little: a commit would have to wait for all that the disk has not yet taken.
    if (chunks % SYNCED === 0) await copy.sync();
  }
  await copy.sync();
}

async function sync(folder: string): Promise<void> {
  using opened = await Deno.open(folder);
  await opened.sync();
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

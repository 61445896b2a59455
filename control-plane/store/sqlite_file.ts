/** Opens the SQLite file of a store: settings that make commits durable, its schema, and errors that say what to do. */
import { DatabaseSync } from "node:sqlite";

/** The file cannot be used as it is; the message names it and says what to do. */
export class CannotOpenStore extends Error {
  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(`Cannot open the store "${path}": ${problem}`, options);
  }
}

/**
 * Opens or creates the file for this process alone: another one that tries finds it locked.
 * Throws {@link CannotOpenStore}.
 */
export function openSqliteFile(path: string): DatabaseSync {
  let file;
  try {
    // The wait, in ms, is for a predecessor that is just closing.
    file = new DatabaseSync(path, { timeout: 500 });
  } catch (error) {
    throw new CannotOpenStore(path, unopenable(path, error), { cause: error });
  }
  try {
    configure(file);
    checkSchema(path, file);
    return file;
  } catch (error) {
    file.close();
    if (error instanceof CannotOpenStore) throw error;
    throw new CannotOpenStore(path, unusable(error), { cause: error });
  }
}

/** SQLite's primary result code (sqlite.org/rescode.html) of what a statement threw. */
export function sqliteCode(error: unknown): number | undefined {
  const code = (error as { errcode?: unknown } | undefined)?.errcode;
  return typeof code === "number" ? code & 0xff : undefined;
}

/** The first value of what a pragma answers. */
export function pragma(file: DatabaseSync, text: string): unknown {
  const row = file.prepare(`PRAGMA ${text}`).get();
  return row && Object.values(row)[0];
}

/** Whether the file is a copy of a store's that nothing was committed to. */
export function isCopy(file: DatabaseSync): boolean {
  return pragma(file, "application_id") === COPY_ID;
}

/** Marks a copy whose first bytes these are. */
export function markCopy(header: Uint8Array): void {
  new DataView(header.buffer, header.byteOffset).setUint32(ID_AT, COPY_ID);
}

/** Takes that mark away, as a part of the transaction that is under way. */
export function unmarkCopy(file: DatabaseSync): void {
  pragma(file, `application_id = ${APPLICATION_ID}`);
}

/** How long the write-ahead log becomes before it is copied into the file, in pages of 4 KiB. */
export const LOG_PAGES = 1_000;

export const SQLITE_FULL = 13;
const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;

/** Marks our files for `file(1)` and for us: "Prtl". */
const APPLICATION_ID = 0x5072746c;
/** Marks a copy: "Prtc". */
const COPY_ID = 0x50727463;
/** Where the mark is in the file, in bytes; big-endian (sqlite.org/fileformat.html). */
const ID_AT = 68;
const SCHEMA_VERSION = 2;

// What is now: the key is the table, values are small and read in its order. TEXT compares by bytes of UTF-8.
// What was: a row for each write, in order, with what it overwrote. A value that is NULL was not there.
const SCHEMA = `
  CREATE TABLE entries (
    key TEXT PRIMARY KEY, value BLOB NOT NULL, revision INTEGER NOT NULL, sum INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE log (
    id INTEGER PRIMARY KEY, revision INTEGER NOT NULL, key TEXT NOT NULL, value BLOB, sum INTEGER NOT NULL,
    before BLOB, before_revision INTEGER, before_sum INTEGER
  ) STRICT;
  CREATE TABLE remembered (revision INTEGER NOT NULL) STRICT;
  INSERT INTO remembered VALUES (0);
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${SCHEMA_VERSION};`;

// Revisions leave no number out, and the log begins where what is remembered ends, or before.
const GAP = "SELECT 1 FROM remembered WHERE revision + 1 < (SELECT revision FROM log ORDER BY id LIMIT 1)";

// Prepared statements, not `exec`: only their errors carry a code.
function configure(file: DatabaseSync): void {
  // Said before the first access, so that no other process ever gets in and the index of the log needs no file.
  pragma(file, "locking_mode = EXCLUSIVE");
  pragma(file, "journal_mode = WAL");
  // FULL: every commit is synced. The second goes beyond fsync where fsync is not enough (macOS).
  pragma(file, "synchronous = FULL");
  pragma(file, "fullfsync = ON");
  pragma(file, `wal_autocheckpoint = ${LOG_PAGES}`);
  // What a backup made longer is given back.
  pragma(file, `journal_size_limit = ${8 * LOG_PAGES * 4096}`);
}

function checkSchema(path: string, file: DatabaseSync): void {
  file.prepare("BEGIN IMMEDIATE").run();
  const application = pragma(file, "application_id");
  const version = Number(pragma(file, "user_version"));
  const tables = Number(file.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.["n"]);
  if (application === 0 && version === 0 && tables === 0) {
    file.exec(SCHEMA);
  } else if (application !== APPLICATION_ID && application !== COPY_ID) {
    throw new CannotOpenStore(path, `it is a database of another program: ${ELSEWHERE}`);
  } else if (version !== SCHEMA_VERSION) {
    throw new CannotOpenStore(
      path,
      `it has the form ${version}, this program knows ${SCHEMA_VERSION}: ${
        version > SCHEMA_VERSION ? "use the program that wrote it, or a newer one" : OLDER
      }`,
    );
  }
  file.prepare("COMMIT").run();
  const damage = pragma(file, "integrity_check(1)");
  if (damage !== "ok") throw new CannotOpenStore(path, `${DAMAGED} (${String(damage).replaceAll("\n", " ")})`);
  if (file.prepare(GAP).get()) throw new CannotOpenStore(path, `${DAMAGED} (its log has a gap)`);
}

const ELSEWHERE = "name another file";
const OLDER = "export the map with the program that wrote it, and import that into a new file";
const DAMAGED = "the file is damaged: restore it from a backup, or move it away to start with an empty map";

function unusable(error: unknown): string {
  switch (sqliteCode(error)) {
    case SQLITE_BUSY:
      return `another process has locked it: stop that one, or ${ELSEWHERE}`;
    case SQLITE_READONLY:
      return `it cannot be written: give this user the right to write it and its folder, or ${ELSEWHERE}`;
    case SQLITE_CORRUPT:
      return DAMAGED;
    case SQLITE_FULL:
      return "the disk is full: make room";
    case SQLITE_NOTADB:
      return `it is no SQLite file: ${ELSEWHERE}`;
    default:
      return (error as Error).message;
  }
}

// SQLite says only that it cannot open the file.
function unopenable(path: string, error: unknown): string {
  if (error instanceof Deno.errors.NotCapable) return error.message;
  try {
    if (Deno.statSync(path).isDirectory) return `it is a folder: ${ELSEWHERE}`;
    return `it cannot be read: give this user the right to read and write it, or ${ELSEWHERE}`;
  } catch (missing) {
    if (!(missing instanceof Deno.errors.NotFound)) return (missing as Error).message;
    return "it cannot be created: make its folder, with the right to write it";
  }
}

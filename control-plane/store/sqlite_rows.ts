/** The rows of a store's SQLite file: each has a sum of what it says, so that a damaged one is never taken for true. */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import type { Revision } from "../domain/names.ts";
import type { Entry } from "./store.ts";

/** What is said of one key in a row. Integers are bigints: revisions outgrow what a number holds. */
export interface Said {
  readonly key: string;
  /** Absent or null: the key was deleted. */
  readonly value?: Uint8Array | null;
  readonly revision: bigint;
  readonly sum: bigint;
}

/** A statement that reads integers as bigints. */
export function prepareExact(file: DatabaseSync, sql: string): StatementSync {
  const statement = file.prepare(sql);
  statement.setReadBigInts(true);
  return statement;
}

/** The sum of what is said: SQLite's own check sees the structure of its file, not the bytes of a value. */
export function sumOf(key: string, revision: bigint, value: Uint8Array | null | undefined): number {
  const sum = crc32(`${revision} ${key}`);
  return value ? crc32(value, sum) : sum;
}

/** Throws when a row does not say what was written. */
export function checked<Row extends Said>(row: Row): Row & { readonly revision: Revision } {
  const { key, value, revision, sum } = row;
  if (BigInt(sumOf(key, revision, value)) !== sum) {
    throw new Error(`Cannot read the store: what it says of key "${key}" is damaged: restore it from a backup`);
  }
  return row as Row & { readonly revision: Revision };
}

/** A row of a value that is there. */
export function entryOf(row: unknown): Entry {
  const { key, value, revision } = checked(row as Said);
  return { key, value: value as Uint8Array, revision };
}

/**
 * Where the log of changes is kept. A store knows keys, bytes and revisions, and nothing of services.
 *
 * What every store promises, and `suite.ts` holds it to:
 * - **One clock.** Each commit that writes has a revision, higher than all before it, also after a restart.
 * - **All or none.** A commit's writes are there together or not at all, whatever is killed when.
 * - **Durable.** When `commit` answers `committed`, the writes survive the end of the process and of the machine.
 * - **Guarded.** A commit applies only if every guard holds at that moment; `conflict` means that none of it was written.
 * - **In order, without a gap.** A watch delivers every commit after its start once, whole, in order of revisions, or it
 *   ends "lost": then read again and go on from there. It never delivers what is not durable.
 * - **Remembered.** The past from `remembered` on can be read, also after a restart: as of a revision, and as the log.
 * - **Honest.** `refused` means certainly not written; `unknown` means perhaps, and is answered only when the store
 *   cannot tell. Besides {@link Lost} and the reason of an aborted signal nothing is thrown but after
 *   `[Symbol.asyncDispose]`, for what the disk has damaged, and where `forget` or `backup` cannot write.
 */
import type { Revision } from "../domain/names.ts";

export interface Store extends AsyncDisposable {
  /**
   * It was put back from a copy that `backup` made, and nothing was committed since: what comes next may differ from
   * what was told before.
   */
  readonly restored: boolean;
  /**
   * Everything under `prefix`, or under any of several of which none begins another, in byte order of keys, as of one
   * revision: the newest, or `at` where that is older. Reads of the past wait for each other: one is long, and holds all
   * that it finds. Throws {@link Lost}, and the reason of `signal` once that aborts.
   */
  read(prefix: string | readonly string[], at?: Revision, signal?: AbortSignal): Promise<Snapshot>;
  /**
   * Writes all of `writes` if all `guards` hold. At least one write; a key may occur once, and a sweep's prefix stands
   * for all keys under it. Sweeps that find nothing, and nothing else, are no commit: the answer is the newest revision.
   */
  commit(writes: readonly (Write | Sweep)[], guards?: readonly Guard[]): Promise<Commit>;
  /**
   * Commits that touch `prefix` after revision `after`, until `signal` ends it; a slow reader delays nobody.
   * Throws {@link Lost}.
   */
  watch(prefix: string, after: Revision, signal: AbortSignal): AsyncIterable<Batch>;
  /**
   * Commits that touched `prefix` after revision `after`, as `watch` delivers them, up to the newest when it is called,
   * or to `upTo` where that is older. Throws {@link Lost}, also midway, and the reason of `signal` once that aborts.
   */
  history(prefix: string, after: Revision, until?: Until): AsyncIterable<Batch>;
  /**
   * Revisions before `upTo`, or before the newest, need not be remembered any more. Resolves when their room is free;
   * throws the reason of `signal` once that aborts: what is not free by then, the next call frees.
   */
  forget(upTo: Revision, signal?: AbortSignal): Promise<void>;
  /** The oldest revision that can be read; commits after it are in `history`. */
  remembered(): Revision;
  /**
   * Writes a copy, as of one revision, that opens as a `restored` store; others go on meanwhile. Throws where there is
   * a file. Absent: not this store's to do.
   */
  backup?(path: string): Promise<void>;
}

/** What ends a history early. */
export interface Until {
  readonly upTo?: Revision;
  readonly signal?: AbortSignal;
}

export interface Snapshot {
  readonly revision: Revision;
  readonly entries: readonly Entry[];
}

/** A key's value and the revision that last wrote it. */
export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: Revision;
}

/** Sets a key, or deletes it where there is no value. */
export interface Write {
  readonly key: string;
  readonly value?: Uint8Array;
}

/** Deletes all keys that begin so and are there when the commit is made: a batch names each. */
export interface Sweep {
  readonly prefix: string;
}

/** The key was last written at this revision; 0: it does not exist. */
export interface Guard {
  readonly key: string;
  readonly revision: Revision;
}

export type Commit =
  | { readonly kind: "committed"; readonly revision: Revision }
  | { readonly kind: "conflict" }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "unknown"; readonly reason: string };

/**
 * One commit's writes under the asked prefix, in their order; where a sweep stood, a deletion of each key it found, in
 * order of keys. A watch that keeps up gets the very objects that this store's `commit` was given, others get equal ones.
 */
export interface Batch {
  readonly revision: Revision;
  readonly writes: readonly Write[];
}

/** What was asked for is no longer kept: a watch's next commit, or the past before `remembered`. */
export class Lost extends Error {
  constructor(after: Revision) {
    super(`Cannot go back to revision ${after}: what came next is no longer kept`);
  }
}

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
 * - **Honest.** `refused` means certainly not written; `unknown` means perhaps, and is answered only when the store
 *   cannot tell. Nothing else is thrown but after `[Symbol.asyncDispose]`.
 */
import type { Revision } from "../domain/names.ts";

export interface Store extends AsyncDisposable {
  /** Everything under `prefix`, in byte order of keys, as of one revision. */
  read(prefix: string): Promise<Snapshot>;
  /** Writes all of `writes` if all `guards` hold. A key may occur once in `writes`; at least one write. */
  commit(writes: readonly Write[], guards?: readonly Guard[]): Promise<Commit>;
  /** Commits that touch `prefix` after revision `after`, until `signal` ends it; a slow reader delays nobody. */
  watch(prefix: string, after: Revision, signal: AbortSignal): AsyncIterable<Batch>;
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

/** One commit's writes under the watched prefix. */
export interface Batch {
  readonly revision: Revision;
  readonly writes: readonly Write[];
}

/** Ends a watch whose next commit is no longer to be had. */
export class Lost extends Error {
  constructor(after: Revision) {
    super(`Cannot watch from revision ${after}: what came next is no longer kept`);
  }
}

/** The newest commits, kept in memory for those who watch a store. */
import type { Revision } from "../domain/names.ts";
import type { Batch } from "./store.ts";
import { writesSize } from "./writes.ts";

/** How much is kept: whatever is reached first counts. The newest commit is kept however large it is. */
export interface FeedLimits {
  readonly batches: number;
  readonly bytes: number;
}

const LIMITS: FeedLimits = { batches: 16_384, bytes: 32 << 20 };

/** Commits that are no longer kept here, as `Store.history` gives them: up to the newest when it is called. */
type Past = (prefix: string, after: Revision) => AsyncIterable<Batch>;

/**
 * Commits in order, for any number of readers. Each has a position of its own and asks for what comes next, so a slow one
 * costs nobody anything: once that is no longer kept, it catches up from the store's log.
 */
export class Feed {
  readonly #past: Past;
  readonly #limits: FeedLimits;
  readonly #waiting = new Set<() => void>();
  /** Rising by revision; what lies before `#first` is forgotten and cut off now and then. */
  #kept: { readonly batch: Batch; readonly bytes: number }[] = [];
  #first = 0;
  #bytes = 0;
  /** The newest revision that is not kept: who stands below it needs the log. */
  #floor: Revision;
  #newest: Revision;
  #closed = false;

  /** Begins after revision `floor`. */
  constructor(floor: Revision, past: Past, limits: FeedLimits = LIMITS) {
    this.#floor = floor;
    this.#newest = floor;
    this.#past = past;
    this.#limits = limits;
  }

  /** Hands on durable commits, in order of revisions, each higher than all before. */
  publish(batches: readonly Batch[]): void {
    for (const batch of batches) {
      const bytes = writesSize(batch.writes);
      this.#kept.push({ batch, bytes });
      this.#bytes += bytes;
      this.#newest = batch.revision;
    }
    this.#forget();
    this.#wake();
  }

  /** As `Store.watch` promises. */
  async *watch(prefix: string, after: Revision, signal: AbortSignal): AsyncGenerator<Batch, void, void> {
    let position = after;
    while (!signal.aborted) {
      if (this.#closed) throw new Error(`Cannot watch from revision ${position}: the store is closed`);
      if (position < this.#floor) {
        // The log is asked for all up to here, and what comes meanwhile is after this: no gap, and nothing twice.
        const newest = this.#newest;
        for await (const batch of this.#past(prefix, position)) {
          yield batch;
          if (signal.aborted) return;
        }
        position = newest;
        continue;
      }
      const batch = this.#next(position);
      if (batch === undefined) {
        await this.#more(signal);
      } else {
        position = batch.revision;
        const mine = under(prefix, batch);
        if (mine.writes.length > 0) yield mine;
      }
    }
  }

  /** Ends all watches with an error. */
  close(): void {
    this.#closed = true;
    this.#wake();
  }

  /** The first commit after `position`, by bisection. */
  #next(position: Revision): Batch | undefined {
    let low = this.#first;
    let high = this.#kept.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#kept[middle]!.batch.revision > position) high = middle;
      else low = middle + 1;
    }
    return this.#kept[low]?.batch;
  }

  #forget(): void {
    while (
      this.#kept.length - this.#first > 1 &&
      (this.#kept.length - this.#first > this.#limits.batches || this.#bytes > this.#limits.bytes)
    ) {
      const { batch, bytes } = this.#kept[this.#first++]!;
      this.#bytes -= bytes;
      this.#floor = batch.revision;
    }
    // Cutting off costs the length of what stays, so it waits until as much has gone.
    if (this.#first > this.#kept.length / 2) {
      this.#kept = this.#kept.slice(this.#first);
      this.#first = 0;
    }
  }

  #more(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#waiting.add(done);
      signal.addEventListener("abort", done);
    });
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done();
  }
}

/** The part of a commit that is under `prefix`. */
export function under(prefix: string, batch: Batch): Batch {
  if (prefix === "") return batch;
  return { revision: batch.revision, writes: batch.writes.filter(({ key }) => key.startsWith(prefix)) };
}

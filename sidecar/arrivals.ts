/** Up to which map HAProxy has come: what a newer one still waits for keeps none before it. */
import type { Position } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Snapshot } from "../sdk-ts/follow.ts";

type Names = ReadonlySet<string>;

interface Expected {
  readonly snapshot: Snapshot;
  changed: Names;
  /** Services that are not wanted yet as this snapshot or a newer one has them: they wait for addresses. */
  pending: Names;
  /** Services that HAProxy was never seen to do so, these among them; `undefined`: any. */
  missing: Names | undefined;
}

/** More are not told apart. */
const MOST = 32;

export class Arrivals {
  /** Oldest first: what one lacks, all that are newer lack too. */
  readonly #expected: Expected[] = [];
  #newest: Position | undefined;

  /** Of the newest snapshot that was reached. */
  get newest(): Position | undefined {
    return this.#newest;
  }

  /**
   * What is wanted goes by `snapshot` from now on, but for services that are `pending`. Answers whether it is worth being done:
   * the first snapshot is whole or not at all.
   */
  expect(snapshot: Snapshot, pending: Names): boolean {
    for (const one of this.#expected) one.pending = one.pending.intersection(pending);
    this.#expected.push({ snapshot, changed: snapshot.changed, pending, missing: undefined });
    if (this.#expected.length > MOST) this.#skip(MOST - 1);
    return this.#newest !== undefined || this.#expected[0]?.pending.size === 0;
  }

  /**
   * HAProxy does all that is wanted, but for services that are `waiting`. Answers with the newest snapshot that it routes
   * by, with all that has changed since the one before, unless that was told.
   */
  reached(waiting: Names): Snapshot | undefined {
    for (const one of this.#expected) {
      const missing = one.pending.union(waiting);
      one.missing = one.missing?.intersection(missing) ?? missing;
    }
    // Two that miss as much miss the same, and are reached as one.
    for (let at = this.#expected.length - 2; at >= 0; at--) if (this.#isLikeNext(at)) this.#skip(at);
    const [first] = this.#expected;
    if (first?.missing?.size !== 0) return undefined;
    this.#expected.shift();
    this.#newest = first.snapshot.position;
    return { ...first.snapshot, changed: first.changed };
  }

  #isLikeNext(at: number): boolean {
    const [one, next] = [this.#expected[at], this.#expected[at + 1]];
    return one?.missing?.size === next?.missing?.size && one?.pending.size === next?.pending.size;
  }

  #skip(at: number): void {
    const [skipped] = this.#expected.splice(at, 1);
    const next = this.#expected[at];
    if (skipped && next) next.changed = skipped.changed.union(next.changed);
  }
}

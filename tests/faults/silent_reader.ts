import { Connection } from "../bench/connection.ts";
import { putInstance, revisionOf } from "../bench/control_plane.ts";
import { spread } from "../bench/measure.ts";
import { defineFault } from "./fault.ts";
import type { Figure } from "./figures.ts";
import { Folded, readMap } from "./folded.ts";
import { type Herd, startHerd } from "./herd.ts";
import { type At, updateOf } from "./oracle_watch.ts";
import { type Plane, startPlane } from "./plane.ts";
import { openRawWatch, type RawWatch } from "./raw_watch.ts";
import { between, type Chance } from "./seed.ts";
import { temporaryFolder } from "./temporary_folder.ts";

interface Sizes {
  readonly watchers: number;
  readonly changes: number;
  /** Changes that are written at once; the next ones follow when all others have them. */
  readonly burst: number;
  /** Of each kind, in turns: with everybody reading, and with one that does not. */
  readonly runs: number;
  readonly services: number;
  readonly instances: number;
}

/** It does not read in two ways: its process stands still, or it goes on but never says that it received anything. */
export const silentReader = defineFault<Sizes>({
  name: "F9",
  fault: "one watcher of many stops reading: its process stands still; another one never says `received`",
  promise: "others' p99 ≤ 1.25 × the one without (medians of 5 interleaved runs), memory bounded, both catch up",
  small: { watchers: 20, changes: 400, burst: 10, runs: 1, services: 10, instances: 5 },
  full: { watchers: 100, changes: 100_000, burst: 10, runs: 5, services: 10, instances: 5 },
  run,
});

async function run(sizes: Sizes, chance: Chance): Promise<readonly Figure[]> {
  await using used = new AsyncDisposableStack();
  const folder = used.use(await temporaryFolder());
  const plane = used.use(await startPlane({ folder: folder.path }));
  const { position } = await readMap(plane, "local", []);
  const still = used.use(await startHerd(plane.grpc, 1, "free", position));
  const silent = used.use(new Reader(plane));
  const others = Array.from({ length: sizes.watchers - 2 }, () => used.use(new Reader(plane)));
  const writers = await Promise.all(Array.from({ length: sizes.burst }, () => Connection.open(plane.http)));
  for (const connection of writers) used.use(connection);
  const bursts = Math.floor(sizes.changes / sizes.burst / sizes.runs / 2);
  const round = () => changes(bursts, writers, others, sizes, chance);
  await changes(10, writers, others, sizes, chance);
  const p99 = { reading: [] as number[], silent: [] as number[] };
  const memory = { reading: [] as number[], silent: [] as number[] };
  let catchUpMs = 0;
  for (let n = 0; n < sizes.runs; n++) {
    // Another one first each time.
    for (const kind of n % 2 === 0 ? ["reading", "silent"] as const : ["silent", "reading"] as const) {
      if (kind === "silent") hush(still, silent);
      p99[kind].push(spread(await round()).p99);
      memory[kind].push(plane.memory() / 2 ** 20);
      if (kind === "silent") catchUpMs = Math.max(catchUpMs, await wake(plane, still, silent));
    }
  }
  const most = { reading: Math.max(...memory.reading), silent: Math.max(...memory.silent) };
  const [reading, faulty] = [median(p99.reading), median(p99.silent)];
  return [
    { name: "changes", value: sizes.changes },
    { name: "p99 of a burst at the others, everybody reading, ms", value: reading },
    { name: "p99 of a burst at the others, two silent, ms", value: faulty },
    { name: "ratio of the two", value: faulty / reading, most: 1.25 },
    { name: "the silent ones have caught up after, ms", value: catchUpMs, most: 20_000 },
    { name: "memory of the control plane, everybody reading, MiB", value: Math.round(most.reading) },
    { name: "of which the silent ones add, MiB", value: Math.round(most.silent - most.reading), most: 150 },
  ];
}

function hush(still: Herd, silent: Reader): void {
  still.signal("SIGSTOP");
  silent.hush();
}

/** Answers with how long it takes until both have what was written meanwhile; fails where they have another map. */
async function wake(plane: Plane, still: Herd, silent: Reader): Promise<number> {
  const { position } = await readMap(plane, "local", []);
  const begun = performance.now();
  still.signal("SIGCONT");
  silent.wake();
  await Promise.all([still.holds(position.revision), silent.has(position.revision)]);
  const tookMs = performance.now() - begun;
  await silent.folded.assertServed(plane, "local", [], "the one that was silent");
  return tookMs;
}

/** Bursts of changes, one after the other; ms from the begin of each until each of the others has it. */
async function changes(
  bursts: number,
  writers: readonly Connection[],
  others: readonly Reader[],
  { services, instances }: Sizes,
  chance: Chance,
): Promise<readonly number[]> {
  const samples: number[] = [];
  for (let n = 0; n < bursts; n++) {
    const begun = performance.now();
    const revisions = await Promise.all(writers.map(async (writer) => {
      const instance = { host: "127.0.0.1", port: between(chance, 1, 65_535), weight: between(chance, 0, 256) };
      const put = putInstance(`s${chance.below(services)}`, `i${chance.below(instances)}`, instance);
      return revisionOf(await writer.must(put));
    }));
    const newest = revisions.reduce((most, one) => one > most ? one : most);
    await Promise.all(others.map(async (other) => samples.push(await other.has(newest) - begun)));
  }
  return samples;
}

/** Follows everything over one stream. */
class Reader implements Disposable {
  readonly folded = new Folded();
  readonly #watch: RawWatch;
  readonly #waiting = new Set<{ revision: bigint; got: (at: number) => void }>();
  #at = performance.now();
  #silent = false;
  /** What it has not said that it received. */
  #unsaid: At | undefined;

  constructor(plane: Plane) {
    const parts: Parameters<typeof updateOf>[0][number][] = [];
    this.#watch = openRawWatch({
      address: plane.grpc,
      realm: "local",
      onPart: (part) => {
        parts.push(part);
        if (part.last) this.#take(updateOf(parts.splice(0)));
      },
    });
    this.#watch.subscribe(1, [], undefined);
  }

  /** Resolves with the time at which it had this revision. */
  has(revision: bigint): Promise<number> {
    if ((this.folded.position?.revision ?? 0n) >= revision) return Promise.resolve(this.#at);
    return new Promise((got) => this.#waiting.add({ revision, got }));
  }

  hush(): void {
    this.#silent = true;
  }

  wake(): void {
    this.#silent = false;
    if (this.#unsaid) this.#watch.received(this.#unsaid);
    this.#unsaid = undefined;
  }

  [Symbol.dispose](): void {
    this.#watch.cancel();
  }

  #take(update: ReturnType<typeof updateOf>): void {
    if (this.#unsaid) throw new Error("pushed: an update came before the last one was received");
    this.#at = performance.now();
    this.folded.take(update);
    if (this.#silent) this.#unsaid = update.position;
    else this.#watch.received(update.position);
    for (const waiting of this.#waiting) {
      if (waiting.revision > update.position.revision) continue;
      this.#waiting.delete(waiting);
      waiting.got(this.#at);
    }
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

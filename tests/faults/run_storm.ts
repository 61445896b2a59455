/** Writers, watchers and restarts all at once: what every watcher got, and what every read said, against the log. */
import assert from "node:assert/strict";
import type { Figure } from "./figures.ts";
import { readMap } from "./folded.ts";
import { type Update, WatchOracle } from "./oracle_watch.ts";
import { startPlane } from "./plane.ts";
import { between, type Chance, fork } from "./seed.ts";
import { type Audience, Storm } from "./storm.ts";
import { temporaryFolder } from "./temporary_folder.ts";
import { LONGEST_SILENCE } from "./watcher.ts";
import type { Writer } from "./writer.ts";

export interface StormSizes extends Audience {
  readonly writes: number;
  readonly writers: number;
  /** How often the control plane ends and starts again in between, and how it ends. */
  readonly restarts: number;
  readonly signal: "SIGKILL" | "SIGTERM";
}

/** Fails with the first promise that was broken. */
export async function runStorm(sizes: StormSizes, chance: Chance): Promise<readonly Figure[]> {
  await using folder = await temporaryFolder();
  await using plane = await startPlane({ folder: folder.path });
  using storm = await Storm.begin(plane);
  const writers = storm.writers(sizes.writers, chance);
  await fillUp(storm, writers);
  storm.attract(sizes, chance);
  for (const realm of storm.realms) storm.join(`reads of ${realm}`, () => new Reader(storm, realm).run());
  await storm.during(writeAll(storm, writers, sizes, fork(chance)));
  await storm.finish(writers);
  storm.peak("memory of the control plane, MiB", Math.round(plane.memory() / 2 ** 20));
  // A bookmark comes every 10 s.
  return storm.figures({ [LONGEST_SILENCE]: 11 });
}

/** Makes the heavy services so heavy that all of a realm does not fit into one part. */
export async function fillUp({ realms, heavy }: Storm, writers: readonly Writer[]): Promise<void> {
  const fill = { fill: "f".repeat(4_000) };
  await Promise.all(writers.map(async (writer, first) => {
    for (let n = first; n < heavy.length * 92; n += writers.length) {
      const instance = { port: 1, version: 1, weight: 1, hostId: "heavy", metadata: fill };
      const service = `${realms[0]}/${heavy[n % heavy.length]}`;
      await writer.send({ kind: "register", service, id: `fill-${n}`, instance });
    }
  }));
}

/** Writes as often as asked; ends and starts the control plane now and then. */
async function writeAll(
  storm: Storm,
  writers: readonly Writer[],
  { writes, restarts, signal }: StormSizes,
  chance: Chance,
): Promise<void> {
  const apart = Math.floor(writes / (restarts + 1));
  const from = storm.told;
  const writing = writeMany(writers, writes);
  for (let n = 1; n <= restarts; n++) {
    // Half of the distance earlier or later.
    const at = from + BigInt(n * apart + between(chance, -Math.floor(apart / 2), Math.floor(apart / 2)));
    await Promise.race([writing, until(() => storm.told >= at)]);
    const { told } = storm;
    await storm.plane.end(signal);
    await storm.plane.revive();
    storm.count(`ends by ${signal}`);
    for (const realm of storm.realms) new Reader(storm, realm).take(await readMap(storm.plane, realm, []), told);
  }
  await writing;
  storm.count("writes acknowledged", Number(storm.told - from));
}

/** All of them together, one after the other each. */
export async function writeMany(writers: readonly Writer[], writes: number): Promise<void> {
  let begun = 0;
  await Promise.all(writers.map(async (writer) => {
    while (begun++ < writes) await writer.write();
  }));
}

/** Reads a realm on and on: what is read is the map at its position, and shows what was told before. */
class Reader {
  readonly #oracle: WatchOracle;

  constructor(private readonly storm: Storm, private readonly realm: string) {
    this.#oracle = new WatchOracle(`read of ${realm}`, realm, (epoch) => storm.logOf(epoch));
  }

  async run(): Promise<void> {
    while (!this.storm.over.aborted) {
      await this.storm.plane.serving();
      const { told } = this.storm;
      // It may end before it answers.
      const update = await readMap(this.storm.plane, this.realm, []).catch(() => undefined);
      if (update) this.take(update, told);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    this.#oracle.assertChecked();
  }

  /** Fails if the map that was read is older than `told`, or was never so. */
  take(update: Update, told: bigint): void {
    const { revision } = update.position;
    assert.ok(revision >= told, `Not linearizable: read revision ${revision}, though ${told} was told before`);
    this.#oracle.subscribed([], undefined);
    this.#oracle.updated(update);
    this.storm.count("reads of a realm");
  }
}

async function until(is: () => boolean): Promise<void> {
  // Acknowledgements come by the thousand: nobody is to tell of each.
  while (!is()) await new Promise((resolve) => setTimeout(resolve, 1));
}

import type { Part } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { defineFault } from "./fault.ts";
import type { Figure } from "./figures.ts";
import { Folded, readMap } from "./folded.ts";
import { type At, type Update, updateOf } from "./oracle_watch.ts";
import { type Plane, startPlane } from "./plane.ts";
import { openRawWatch } from "./raw_watch.ts";
import { backUp, putBack } from "./restored.ts";
import { writeMany } from "./run_storm.ts";
import { type Chance, fork } from "./seed.ts";
import { Storm } from "./storm.ts";
import { temporaryFolder } from "./temporary_folder.ts";

interface Sizes {
  readonly writers: number;
  readonly kept: number;
  readonly lost: number;
  /** More than were lost: whoever comes back is not ahead of the store any more. */
  readonly later: number;
}

/** A revision alone does not tell that the history behind it is another one. */
export const overtaken = defineFault<Sizes>({
  name: "F16b",
  fault: "the store is put back from a backup, and has been written to by the time that watchers come back",
  promise: "they start again all the same: what they hold is of a history that never was",
  small: { writers: 4, kept: 50, lost: 20, later: 100 },
  full: { writers: 16, kept: 5_000, lost: 1_000, later: 5_000 },
  run,
});

async function run({ writers: count, kept, lost, later }: Sizes, chance: Chance): Promise<readonly Figure[]> {
  await using folder = await temporaryFolder();
  await using plane = await startPlane({ folder: folder.path });
  using storm = await Storm.begin(plane, { putBack: true });
  const writers = storm.writers(count, chance);
  await writeMany(writers, kept);
  const { bytes, log } = await backUp(storm);
  await writeMany(writers, lost);
  const folded = new Folded();
  folded.take(await readMap(plane, "local", []));
  await plane.end("SIGKILL");
  await putBack(folder.path, bytes);
  await plane.revive();
  const { position } = await readMap(plane, "local", []);
  storm.turn(log.next(position.epoch, position.revision));
  await writeMany(storm.writers(count, fork(chance), count), later);
  folded.take(await nextUpdate(plane, folded.position));
  await folded.assertServed(plane, "local", [], "who held what was lost");
  return [{ name: "revisions that were lost", value: lost }, { name: "revisions since", value: later }];
}

/** The first update for a watcher of everything. */
async function nextUpdate({ grpc }: Plane, after: At | undefined): Promise<Update> {
  const { promise, resolve } = Promise.withResolvers<Update>();
  const parts: Part[] = [];
  const watch = openRawWatch({
    address: grpc,
    realm: "local",
    onPart: (part) => parts.push(part) && part.last && resolve(updateOf(parts)),
  });
  watch.subscribe(1, [], after);
  try {
    return await promise;
  } finally {
    watch.cancel();
  }
}

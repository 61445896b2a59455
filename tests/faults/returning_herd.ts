import { Connection } from "../bench/connection.ts";
import { putInstance, revisionOf } from "../bench/control_plane.ts";
import { spread } from "../bench/measure.ts";
import { defineFault } from "./fault.ts";
import type { Figure } from "./figures.ts";
import { readMap } from "./folded.ts";
import { type Herd, startHerd } from "./herd.ts";
import { type Plane, startPlane } from "./plane.ts";
import { between, type Chance } from "./seed.ts";
import { temporaryFolder } from "./temporary_folder.ts";

interface Sizes {
  readonly watchers: number;
  /** Processes that share them. */
  readonly processes: number;
  readonly services: number;
  readonly instances: number;
  /** Services that change while nobody watches. */
  readonly missed: number;
  /** From one write to the next while they come back: each one is more work for every watcher that is back. */
  readonly pauseMs: number;
}

/** A restart makes all of them come back at the same moment, from where they were, while writes go on. */
export const returningHerd = defineFault<Sizes>({
  name: "F17",
  fault: "the control plane is killed; every watcher of the whole map comes back from its position, all at once",
  promise: "all hold the newest map within 10 s; writes meanwhile p99 < 1 s",
  small: { watchers: 200, processes: 1, services: 50, instances: 4, missed: 5, pauseMs: 10 },
  full: { watchers: 5_000, processes: 4, services: 1_000, instances: 10, missed: 20, pauseMs: 500 },
  run,
});

async function run(sizes: Sizes, chance: Chance): Promise<readonly Figure[]> {
  await using used = new AsyncDisposableStack();
  const folder = used.use(await temporaryFolder());
  const plane = used.use(await startPlane({ folder: folder.path }));
  await fill(plane, sizes);
  const share = sizes.watchers / sizes.processes;
  const { position } = await readMap(plane, "local", []);
  const herds = await Promise.all(
    Array.from(
      { length: sizes.processes },
      async () => used.use(await startHerd(plane.grpc, share, "called", position)),
    ),
  );
  const gone = Promise.all(herds.map((herd) => herd.gone()));
  await plane.end("SIGKILL");
  await gone;
  await plane.revive();
  using connection = await Connection.open(plane.http);
  const write = () => writeOne(connection, chance, sizes);
  for (let n = 0; n < sizes.missed; n++) await write();
  const { syncedMs, writesMs } = await comeBack(herds, write, sizes.pauseMs);
  const newest = await write();
  await Promise.all(herds.map((herd) => herd.holds(newest)));
  const { p50, p99, samples } = spread(writesMs);
  return [
    { name: "all watchers synced, s", value: syncedMs / 1_000, most: 10 },
    { name: "writes meanwhile, p50 ms", value: p50 },
    { name: "writes meanwhile, p99 ms", value: p99, most: 1_000 },
    { name: "writes meanwhile", value: samples },
    { name: "memory of the control plane, MiB", value: Math.round(plane.memory() / 2 ** 20) },
  ];
}

/** How long it takes until each of them has an update of its new stream; one write after the other goes on meanwhile. */
async function comeBack(herds: readonly Herd[], write: () => Promise<bigint>, pauseMs: number) {
  const synced = Promise.all(herds.map((herd) => herd.standing()));
  const begun = performance.now();
  for (const herd of herds) herd.call();
  let over = false;
  const done = synced.then(() => {
    over = true;
    return performance.now() - begun;
  });
  const writesMs: number[] = [];
  while (!over) {
    const from = performance.now();
    await write();
    writesMs.push(performance.now() - from);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  return { syncedMs: await done, writesMs };
}

async function fill(plane: Plane, { services, instances }: Sizes): Promise<void> {
  const connections = await Promise.all(Array.from({ length: 20 }, () => Connection.open(plane.http)));
  await Promise.all(connections.map(async (connection, first) => {
    for (let n = first; n < services * instances; n += connections.length) {
      const instance = { host: "127.0.0.1", port: 8080 };
      await connection.must(putInstance(`s${n % services}`, `i${Math.floor(n / services)}`, instance));
    }
    connection[Symbol.dispose]();
  }));
}

async function writeOne(connection: Connection, chance: Chance, { services, instances }: Sizes): Promise<bigint> {
  const instance = { host: "127.0.0.1", port: between(chance, 1, 65_535), weight: between(chance, 1, 256) };
  const [service, id] = [`s${chance.below(services)}`, `i${chance.below(instances)}`];
  return revisionOf(await connection.must(putInstance(service, id, instance)));
}

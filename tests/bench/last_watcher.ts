/** From a write to the last of many watchers, each on a connection of its own, in two processes. */
import { join } from "node:path";
import { startBareServer } from "./bare_server.ts";
import { Connection, request } from "./connection.ts";
import { nextPut, startControlPlane } from "./control_plane.ts";
import { type Figure, figure, type Sample, takeTurns } from "./measure.ts";
import type { Sizes } from "./sizes.ts";
import { startWatchers } from "./watchers.ts";

const PROCESSES = 2;

export async function lastWatcher(sizes: Sizes, folder: string): Promise<readonly Figure[]> {
  await using used = new AsyncDisposableStack();
  const controlPlane = used.use(await startControlPlane(join(folder, "map"), sizes));
  const bare = used.use(await startBareServer(folder, controlPlane.updateBytes, controlPlane.readBytes));
  const put = request("PUT", "/path", "{}");
  const costs = [controlPlane, bare].map(({ cpuMs }) => -cpuMs());
  const found = await takeTurns({
    ours: await lastOf("map", controlPlane, sizes, used, () => nextPut(sizes)),
    bare: await lastOf("bare", bare, sizes, used, () => put),
  }, { rounds: sizes.rounds, ...sizes.watchedWrites });
  const changes = sizes.watchedWrites.warmUp + found.ours.length;
  const [ours = NaN, least = NaN] = [controlPlane, bare].map(({ cpuMs }, i) => (cpuMs() + (costs[i] ?? NaN)) / changes);
  const floor = "bare PUT → SQLite → as many streams";
  return [
    figure(`HTTP PUT → last of ${sizes.watchers} watchers`, found.ours, { [floor]: found.bare }),
    figure(`server CPU of a change, ${sizes.watchers} watchers`, [ours], { [floor]: [least] }),
  ];
}

async function lastOf(
  kind: "map" | "bare",
  server: { readonly http: number; readonly grpc: string },
  { watchers }: Sizes,
  used: AsyncDisposableStack,
  next: () => Uint8Array,
): Promise<Sample> {
  const share = watchers / PROCESSES;
  const started = Array.from({ length: PROCESSES }, () => startWatchers(kind, server.grpc, share));
  const all = (await Promise.all(started)).map((one) => used.use(one));
  const connection = used.use(await Connection.open(server.http));
  return async () => {
    const bytes = next();
    const begun = performance.now();
    const [ms] = await Promise.all([
      Promise.all(all.map((one) => one.last())).then(() => performance.now() - begun),
      connection.must(bytes),
    ]);
    return ms;
  };
}

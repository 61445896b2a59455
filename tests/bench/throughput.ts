/** How much comes through over HTTP: durable writes of one writer and of many, and reads of one service. */
import { join } from "node:path";
import { startBareServer } from "./bare_server.ts";
import { request } from "./connection.ts";
import { nextPut, REALM, startControlPlane } from "./control_plane.ts";
import { type Load, load, wrk, wrkVersion } from "./load.ts";
import { type Figure, figure, type Sample, spread, takeTurns } from "./measure.ts";
import type { Sizes } from "./sizes.ts";

export async function throughput(sizes: Sizes, folder: string): Promise<readonly Figure[]> {
  await using used = new AsyncDisposableStack();
  const controlPlane = used.use(await startControlPlane(join(folder, "map"), sizes));
  const bare = used.use(await startBareServer(folder, controlPlane.updateBytes, controlPlane.readBytes));
  const { connections, loadMs: ms } = sizes;
  const commit = request("PUT", "/commit", JSON.stringify({ host: "127.0.0.1", port: 10_000 }));
  const ours = (connections: number) => () => load({ port: controlPlane.http, connections, ms }, () => nextPut(sizes));
  const floor = (connections: number) => () => load({ port: bare.http, connections, ms }, () => commit);
  const found = await takeTurns({
    write: ours(1),
    bareWrite: floor(1),
    writes: ours(connections),
    bareWrites: floor(connections),
    reads: reads({ port: controlPlane.http, connections, ms }, `${REALM}/services/s0`),
    bareReads: reads({ port: bare.reads, connections, ms }, "/"),
  }, { rounds: sizes.loadRounds, samples: 1 });
  const commits = "bare PUT → SQLite, commits shared";
  const served = "Deno.serve alone, as many bytes";
  return [
    rates("writes, 1 writer", found.write, { [commits]: found.bareWrite }),
    rates(`writes, ${connections} writers`, found.writes, { [commits]: found.bareWrites }),
    times(`a write among ${connections} writers`, found.writes, { [commits]: found.bareWrites }),
    rates(`reads of a service, ${connections} connections`, found.reads, { [served]: found.bareReads }),
    times(`a read among ${connections} connections`, found.reads, { [served]: found.bareReads }),
  ];
}

function reads(options: { port: number; connections: number; ms: number }, path: string): Sample<Load> {
  const get = request("GET", path);
  if (wrkVersion() === "none" || options.ms % 1_000 !== 0) return () => load(options, () => get);
  return () => wrk(options, path);
}

function rates(name: string, loads: readonly Load[], floors: Readonly<Record<string, readonly Load[]>>): Figure {
  const perSecond = (all: readonly Load[]) => all.map((one) => one.perSecond);
  return figure(name, perSecond(loads), mapped(floors, perSecond), "/s");
}

/** Each p50 and p99 is the middle one of those of all rounds. */
function times(name: string, loads: readonly Load[], floors: Readonly<Record<string, readonly Load[]>>): Figure {
  const middle = (all: readonly Load[]) => ({
    p50: spread(all.map((one) => one.p50)).p50,
    p99: spread(all.map((one) => one.p99)).p50,
    samples: all.length,
  });
  const below = Object.entries(floors).map(([floor, all]) => ({ name: floor, ...middle(all) }));
  return { name, unit: "ms", ...middle(loads), floors: below };
}

function mapped<A, B>(all: Readonly<Record<string, A>>, make: (one: A) => B): Readonly<Record<string, B>> {
  return Object.fromEntries(Object.entries(all).map(([name, one]) => [name, make(one)]));
}

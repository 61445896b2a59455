/** How much comes through over HTTP: durable writes of one writer and of many, and reads of one service. */
import { join } from "node:path";
import { startBareServer } from "./bare_server.ts";
import { request } from "./connection.ts";
import { BareClient } from "./bare_grpc.ts";
import { nextPut, nextWrite, REALM, type Registry, registryOf, startControlPlane } from "./control_plane.ts";
import { calls, hasWrk, type Load, load, wrk } from "./load.ts";
import type { Costs } from "./program.ts";
import { type Figure, figure, type Sample, spread, takeTurns } from "./measure.ts";
import type { Sizes } from "./sizes.ts";

/** A turn of load, and what one request of it cost the server, in ms of processor time. */
type Turn = Load & { readonly cpuMs: number };

export async function throughput(sizes: Sizes, folder: string): Promise<readonly Figure[]> {
  await using used = new AsyncDisposableStack();
  const controlPlane = used.use(await startControlPlane(join(folder, "map"), sizes));
  const bare = used.use(await startBareServer(folder, controlPlane.updateBytes, controlPlane.readBytes));
  const { connections, loadMs: ms } = sizes;
  const commit = request("PUT", "/commit", JSON.stringify({ host: "127.0.0.1", port: 10_000 }));
  const ours = (connections: number) =>
    turn(controlPlane, () => load({ port: controlPlane.http, connections, ms }, () => nextPut(sizes)));
  const floor = (connections: number) => turn(bare, () => load({ port: bare.http, connections, ms }, () => commit));
  using registry = registryOf(controlPlane);
  using client = new BareClient(bare.grpc);
  const found = await takeTurns({
    write: ours(1),
    bareWrite: floor(1),
    writes: ours(connections),
    bareWrites: floor(connections),
    calls: turn(controlPlane, () => calls({ connections, ms }, () => register(registry, nextWrite(sizes)))),
    bareCalls: turn(bare, () => calls({ connections, ms }, () => client.write(MESSAGE))),
    reads: turn(controlPlane, reads({ port: controlPlane.http, connections, ms }, `${REALM}/services/s0`)),
    bareReads: turn(bare, reads({ port: bare.reads, connections, ms }, "/")),
  }, { rounds: sizes.loadRounds, ...sizes.load });
  const commits = "bare PUT → SQLite, commits shared";
  const served = "Deno.serve alone, as many bytes";
  return [
    ...figures("write", "1 writer", found.write, commits, found.bareWrite),
    ...figures("write", `${connections} writers`, found.writes, commits, found.bareWrites),
    ...figures("gRPC write", `${connections} callers`, found.calls, "bare unary call → SQLite", found.bareCalls),
    ...figures("read", `${connections} readers`, found.reads, served, found.bareReads),
  ];
}

const MESSAGE = Buffer.alloc(64, "m");

function register(registry: Registry, write: ReturnType<typeof nextWrite>): Promise<unknown> {
  return registry.register({ realm: "local", ...write });
}

function reads(options: { port: number; connections: number; ms: number }, path: string): Sample<Load> {
  const get = request("GET", path);
  return hasWrk(options.ms) ? () => wrk(options, path) : () => load(options, () => get);
}

function turn(server: Costs, run: Sample<Load>): Sample<Turn> {
  return async () => {
    const before = server.cpuMs();
    const found = await run();
    return { ...found, cpuMs: (server.cpuMs() - before) / found.requests };
  };
}

/** Of the times of requests, each p50 and p99 is the middle one of those of all turns. */
function figures(what: string, who: string, turns: readonly Turn[], floor: string, least: readonly Turn[]) {
  const rate = (all: readonly Turn[]) => all.map(({ perSecond }) => perSecond);
  const cpu = (all: readonly Turn[]) => all.map(({ cpuMs }) => cpuMs);
  const times = (all: readonly Turn[]) => {
    const middle = (of: (turn: Turn) => number) => spread(all.map(of)).p50;
    return { p50: middle(({ p50 }) => p50), p99: middle(({ p99 }) => p99), samples: all.length };
  };
  return [
    figure(`${what}s, ${who}`, rate(turns), { [floor]: rate(least) }, "/s"),
    { name: `a ${what}, ${who}`, unit: "ms", ...times(turns), floors: [{ name: floor, ...times(least) }] } as const,
    figure(`server CPU of a ${what}, ${who}`, cpu(turns), { [floor]: cpu(least) }),
  ];
}

/**
 * A sidecar with a map as large as it is to hold: how long it takes to route by it, what it and its HAProxy take in
 * memory, what it costs at rest, and what a request costs it whose end it hears of.
 */
import { join } from "node:path";
import { toBinary } from "@bufbuild/protobuf";
import { ServiceSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { CONFIG_FILE } from "../../sidecar/config/names.ts";
import { decodeMapFile } from "../../sidecar/map_file.ts";
import { request } from "./connection.ts";
import { startBareServer } from "./bare_server.ts";
import { fill, serve } from "./control_plane.ts";
import { type HandWritten, startHandWritten } from "./hand_written.ts";
import { startInstance } from "./haproxy.ts";
import { paced } from "./load.ts";
import { type Figure, figure, paired, takeTurns } from "./measure.ts";
import { type Costs, Program } from "./program.ts";
import { PATH, sdkHeaders } from "./sdk_request.ts";
import { type BenchedSidecar, startSidecar } from "./sidecar.ts";
import { sidecarWork } from "./sidecar_work.ts";
import type { Sizes } from "./sizes.ts";
import { startWatchers } from "./watchers.ts";

export async function sidecarSize(sizes: Sizes, folder: string): Promise<readonly Figure[]> {
  await using used = new AsyncDisposableStack();
  const { services, instances } = sizes.sidecarMap;
  const { port } = used.use(await startInstance(join(folder, "instance")));
  const { program, http, grpc } = await serve(join(folder, "map"));
  used.use(program);
  await fill(http, sizes.sidecarMap, { port });
  const what = `${services * instances} instances`;
  return [
    ...await starts(grpc, folder, what, sizes.starts),
    ...await sidecarWork(sizes, what),
    ...await running({ grpc, folder, what, port, sizes, used }),
  ];
}

/** Each with a folder of its own, in which nothing is left of another one. */
async function starts(grpc: string, folder: string, what: string, times: number): Promise<readonly Figure[]> {
  const ready: number[] = [];
  const alone: number[] = [];
  for (let start = 0; start < times; start++) {
    const data = join(folder, `start-${start}`);
    const sidecar = await startSidecar(grpc, data);
    await sidecar[Symbol.asyncDispose]();
    ready.push(sidecar.readyMs);
    alone.push(await startAlone(data, sidecar.egress));
  }
  return [figure(`start of a sidecar → applied, ${what}`, ready, { "HAProxy alone, from the same files": alone })];
}

/** From the start of a HAProxy until it takes connections, by the files that a sidecar has left in `data`. */
async function startAlone(data: string, port: number): Promise<number> {
  const begun = performance.now();
  await using _haproxy = Program.start("haproxy", ["-W", "-db", "-f", CONFIG_FILE], { cwd: data, detached: true });
  for (;;) {
    try {
      using _connection = await Deno.connect({ hostname: "127.0.0.1", port });
      return performance.now() - begun;
    } catch (error) {
      if (performance.now() - begun > 10_000) throw error;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

interface Running {
  readonly grpc: string;
  readonly folder: string;
  readonly what: string;
  /** Of the instances. */
  readonly port: number;
  readonly sizes: Sizes;
  readonly used: AsyncDisposableStack;
}

async function running({ grpc, folder, what, port, sizes, used }: Running): Promise<readonly Figure[]> {
  const data = join(folder, "sidecar");
  const sidecar = used.use(await startSidecar(grpc, data, "file"));
  const watcher = used.use(await startWatchers("map", grpc, 1));
  const bare = used.use(await startBareServer(folder, 1, 1));
  const hand = await startHandWritten(join(folder, "hand"), { ...sizes.sidecarMap, port }, used);
  const file = await saved(join(data, MAP_FILE));
  const rest = await atRest([sidecar, watcher], sizes);
  const haproxy = await sidecar.haproxy();
  const memory = [sidecar, haproxy, hand.haproxy, bare].map((one) => [one.memoryMb()]);
  const paid = await load({ sidecar, haproxy, hand, sizes });
  const [own = [], worker = [], byHand = [], server = []] = memory;
  return [
    figure(`memory of the sidecar, ${what}`, own, { "a bare server": server }, "MB"),
    figure(`memory of its HAProxy, ${what}`, worker, { "HAProxy by hand": byHand }, "MB"),
    figure(
      `the map on disk, ${what}`,
      [file.length / 1e6],
      { "its services in protobuf": [protobufBytes(file) / 1e6] },
      "MB",
    ),
    figure(`the sidecar at rest, ${what}`, rest[0] ?? [], { "a bare watcher of the map": rest[1] ?? [] }, "%"),
    paired(`the sidecar's CPU of a request, ${sizes.perSecond} /s`, paid.sidecar, {
      "its HAProxy's": paid.haproxy,
      "a reader that throws the log away": paid.reader,
    }, "µs"),
  ];
}

const MAP_FILE = "map.bin";

/** The file that the sidecar saves the map in, once it has. */
async function saved(path: string): Promise<Uint8Array> {
  for (;;) {
    try {
      return await Deno.readFile(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

function protobufBytes(file: Uint8Array): number {
  const decoded = decodeMapFile(file);
  if (decoded.kind !== "map") throw new Error(`Cannot read the saved map: ${decoded.reason}`);
  return decoded.map.services.values().reduce((sum, service) => sum + toBinary(ServiceSchema, service).length, 0);
}

/** Percents of a core, of each, while nothing changes. */
async function atRest(all: readonly Costs[], { restMs, restRounds }: Sizes): Promise<readonly (readonly number[])[]> {
  const found: number[][] = all.map(() => []);
  for (let round = 0; round < restRounds; round++) {
    const before = all.map((one) => one.cpuMs());
    const begun = performance.now();
    await new Promise((resolve) => setTimeout(resolve, restMs));
    const ms = performance.now() - begun;
    for (const [i, one] of all.entries()) found[i]?.push((one.cpuMs() - (before[i] ?? NaN)) * 100 / ms);
  }
  return found;
}

interface Loaded {
  readonly sidecar: BenchedSidecar;
  /** Of the sidecar. */
  readonly haproxy: Costs;
  readonly hand: HandWritten;
  readonly sizes: Sizes;
}

/** µs of a request that come to each while as many requests come as there may be in a second. */
async function load(
  { sidecar, haproxy, hand, sizes }: Loaded,
): Promise<Readonly<Record<"sidecar" | "haproxy" | "reader", readonly number[]>>> {
  const { pacedMs: ms, pacedRounds: rounds, perSecond } = sizes;
  let sent = 0;
  const next = () => request("GET", PATH, "", sdkHeaders(`s${sent++ % sizes.sidecarMap.services}`));
  const turn = (port: number, all: readonly Costs[]) => async () => {
    const before = all.map((one) => one.cpuMs());
    const requests = await paced({ port, connections: CONNECTIONS, ms }, perSecond, next);
    return all.map((one, i) => (one.cpuMs() - (before[i] ?? NaN)) * 1_000 / requests);
  };
  const found = await takeTurns({
    ours: turn(sidecar.egress, [sidecar, haproxy]),
    hand: turn(hand.haproxy.port, [hand.reader]),
  }, { rounds, samples: 1, warmUp: 1 });
  const nth = (all: readonly (readonly number[])[], n: number) => all.map((one) => one[n] ?? NaN);
  return { sidecar: nth(found.ours, 0), haproxy: nth(found.ours, 1), reader: nth(found.hand, 0) };
}

const CONNECTIONS = 8;

/** A large map: how long a control plane takes to be ready with it, what it takes in memory, how long a first snapshot takes. */
import { create } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { createClient, encode } from "../../proto/grpc.ts";
import { GetMapRequestSchema } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { RegistryService } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { BareClient } from "./bare_grpc.ts";
import { startBareServer } from "./bare_server.ts";
import { serve } from "./control_plane.ts";
import { type Figure, figure } from "./measure.ts";
import type { Sizes } from "./sizes.ts";

const INSTANCES = 10;

export async function largeMap({ largeMaps, starts }: Sizes, folder: string): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  for (const services of largeMaps) {
    const data = `${folder}/${services}`;
    await fill(data, services);
    figures.push(...await measure(data, services, starts, folder));
  }
  return figures;
}

async function fill(data: string, services: number): Promise<void> {
  const { program, grpc: address } = await serve(data);
  await using _program = program;
  const registry = createClient(RegistryService, address);
  try {
    const { stream, response } = registry.import();
    stream.write({ realm: "local", force: true });
    for (let from = 0; from < services; from += 100) {
      stream.write({ services: Array.from({ length: Math.min(100, services - from) }, (_, i) => service(from + i)) });
    }
    stream.end();
    await response;
  } finally {
    registry.close();
  }
}

/** As services are: a zone, a host, a team. */
function service(n: number) {
  const instances = Array.from({ length: INSTANCES }, (_, i) => ({
    id: `i${i}`,
    host: `10.${n >> 8 & 255}.${n & 255}.${i + 1}`,
    port: 8_080,
    version: 1,
    weight: 100,
    enabled: true,
    zone: `zone-${i % 3}`,
    hostId: `host-${(n * INSTANCES + i) % 500}`,
    metadata: { team: `team-${n % 50}` },
  }));
  return { name: `service-${n}`, enabled: true, instances, aliases: [{ name: "live", route: { version: 1 } }] };
}

async function measure(data: string, services: number, starts: number, folder: string): Promise<readonly Figure[]> {
  const [ready, first, memory, snapshot, bareReady, bareMemory, bareSnapshot]: number[][] = [
    [],
    [],
    [],
    [],
    [],
    [],
    [],
  ];
  for (let start = 0; start < starts; start++) {
    const begun = performance.now();
    const { program, grpc: address } = await serve(data);
    await using _program = program;
    ready?.push(performance.now() - begun);
    first?.push(program.memoryMb());
    const { ms, bytes } = await wholeMap(address);
    snapshot?.push(ms);
    memory?.push(program.memoryMb());
    const bareBegun = performance.now();
    await using bare = await startBareServer(await Deno.makeTempDir({ dir: folder }), 1, 1);
    bareReady?.push(performance.now() - bareBegun);
    bareMemory?.push(bare.memoryMb());
    bareSnapshot?.push(await bulk(bare.grpc, bytes));
  }
  const what = `${services * INSTANCES} instances`;
  const bare = "a bare server";
  return [
    figure(`start → ready, ${what}`, ready ?? [], { [bare]: bareReady ?? [] }),
    figure(`memory when ready, ${what}`, first ?? [], { [bare]: bareMemory ?? [] }, "MB"),
    figure(`first snapshot, ${what}`, snapshot ?? [], { "a bare stream of as many bytes": bareSnapshot ?? [] }),
    figure(`memory after it, ${what}`, memory ?? [], { [bare]: bareMemory ?? [] }, "MB"),
  ];
}

/** From asking until the last part is there; what a client makes of the bytes is its own affair. */
function wholeMap(address: string): Promise<{ ms: number; bytes: number }> {
  const client = new grpc.Client(address, grpc.credentials.createInsecure());
  const { promise, resolve, reject } = Promise.withResolvers<{ ms: number; bytes: number }>();
  const request = create(GetMapRequestSchema, { scope: { realm: "local" } });
  const begun = performance.now();
  const raw = (bytes: Buffer) => bytes;
  const stream = client.makeServerStreamRequest(
    "/portolan.v1.DiscoveryService/GetMap",
    raw,
    raw,
    encode(GetMapRequestSchema, request),
  );
  let bytes = 0;
  stream.on("data", (part: Buffer) => bytes += part.length);
  stream.on("error", reject);
  stream.on("end", () => resolve({ ms: performance.now() - begun, bytes }));
  return promise.finally(() => client.close());
}

function bulk(grpc: string, bytes: number): Promise<number> {
  return new Promise((resolve) => {
    const client = new BareClient(grpc);
    const begun = performance.now();
    client.open("bulk", () => {}, `${bytes}`).on("end", () => {
      resolve(performance.now() - begun);
      client[Symbol.dispose]();
    });
  });
}

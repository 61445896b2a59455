/** The control plane as users run it: a process of its own, its store in a file, filled with a map. */
import { toBinary } from "@bufbuild/protobuf";
import { WatchResponseSchema } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { RegistryService } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { type Client, createClient } from "../../proto/grpc.ts";
import { Connection, request } from "./connection.ts";
import { type Costs, Program, record, ROOT } from "./program.ts";
import type { Sizes } from "./sizes.ts";
import { watchMap } from "./watch.ts";

export interface BenchedControlPlane extends AsyncDisposable, Costs {
  readonly http: number;
  readonly grpc: string;
  /** Bytes of an update of one service, on the wire. */
  readonly updateBytes: number;
  /** Bytes of an answer to a read of one service. */
  readonly readBytes: number;
}

export const REALM = "/api/v1/realms/local";

/** Starts it with its store in `folder`, and registers instances `i0`… of services `s0`…. */
export async function startControlPlane(folder: string, sizes: Sizes): Promise<BenchedControlPlane> {
  const { program, http, grpc } = await serve(folder);
  await fill(http, sizes);
  return {
    http,
    grpc,
    cpuMs: () => program.cpuMs(),
    memoryMb: () => program.memoryMb(),
    updateBytes: await updateBytes(grpc),
    readBytes: await readBytes(http),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

/** Starts it with whatever its store in `folder` holds; answers when it serves. */
export async function serve(folder: string) {
  const args = ["--data", folder, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"];
  const file = "control-plane/main.ts";
  const program = Program.start(Deno.execPath(), [
    "run",
    `--config=${ROOT}deno.json`,
    "-P=control-plane",
    file,
    ...args,
  ]);
  const serving = await program.next((line) => record(line, "grpc"));
  const grpc = String(serving["grpc"]);
  const http = Number(String(serving["http"]).split(":")[1]);
  return { program, http, grpc };
}

export type Registry = Client<typeof RegistryService>;

export function registryOf({ grpc }: { readonly grpc: string }): Registry & Disposable {
  // Kept: what is measured is a call, not how a connection is made.
  const client = createClient(RegistryService, grpc, { "grpc.client_idle_timeout_ms": 60_000 });
  return { ...client, [Symbol.dispose]: () => client.close() };
}

let writes = 0;

/** The next instance in turn, with a port that it did not have: every write is a change. */
export function nextWrite({ services, instances }: Sizes) {
  const write = writes++;
  const port = 10_000 + write % 50_000;
  return {
    service: `s${write % services}`,
    id: `i${Math.floor(write / services) % instances}`,
    instance: { host: "127.0.0.1", port },
  };
}

/** The same as an HTTP request. */
export function nextPut(sizes: Sizes): Uint8Array {
  const { service, id, instance } = nextWrite(sizes);
  return putInstance(service, id, instance);
}

export function putInstance(
  service: string,
  id: string,
  instance: Readonly<Record<string, unknown>>,
  realm = REALM,
): Uint8Array {
  return request("PUT", `${realm}/services/${service}/instances/${id}`, JSON.stringify(instance));
}

/** The revision that a write over HTTP was answered with. */
export function revisionOf(body: string): bigint {
  return BigInt(JSON.parse(body).revision);
}

/** Registers instances `i0`… of services `s0`…; all of them at `port`, or each at another one. */
export async function fill(
  http: number,
  { services, instances }: Pick<Sizes, "services" | "instances">,
  { realm = REALM, port }: { readonly realm?: string; readonly port?: number } = {},
): Promise<void> {
  const connections = await Promise.all(Array.from({ length: 20 }, () => Connection.open(http)));
  await Promise.all(connections.map(async (connection, first) => {
    for (let n = first; n < services * instances; n += connections.length) {
      const instance = { host: "127.0.0.1", port: port ?? 1 + n };
      await connection.must(putInstance(`s${n % services}`, `i${Math.floor(n / services)}`, instance, realm));
    }
    connection[Symbol.dispose]();
  }));
}

async function updateBytes(grpc: string): Promise<number> {
  let bytes = 0;
  using _watch = await watchMap(grpc, ["s0"], (response) => bytes = toBinary(WatchResponseSchema, response).length);
  return bytes;
}

async function readBytes(http: number): Promise<number> {
  using connection = await Connection.open(http);
  return (await connection.must(request("GET", `${REALM}/services/s0`))).length;
}

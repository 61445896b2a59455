/**
 * The floors that need a server, in a process of its own: hono, node:sqlite and grpc-js doing what a control plane has to
 * do and nothing else. Arguments: a folder, the bytes of an update, the bytes of an answer to a read.
 */
import * as grpc from "@grpc/grpc-js";
import { Hono } from "hono";
import { join } from "node:path";
import { BARE_SERVICE } from "./bare_grpc.ts";
import { BareStore } from "./bare_store.ts";
import { type Costs, Program, record } from "./program.ts";

export interface BareServer extends AsyncDisposable, Costs {
  /** Serves `PUT /answer`, `PUT /commit` and `PUT /path`: answered at once, when on the disk, when said to watchers too. */
  readonly http: number;
  /** Serves reads. */
  readonly reads: number;
  readonly grpc: string;
}

/** Starts it; updates and reads have as many bytes as those that they are held against. */
export async function startBareServer(folder: string, updateBytes: number, readBytes: number): Promise<BareServer> {
  const program = Program.deno("tests/bench/bare_server.ts", folder, `${updateBytes}`, `${readBytes}`);
  const { http, reads, grpc } = await program.next((line) => record(line, "reads"));
  return {
    http: Number(http),
    reads: Number(reads),
    grpc: `127.0.0.1:${grpc}`,
    cpuMs: () => program.cpuMs(),
    memoryMb: () => program.memoryMb(),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

/** As large as the parts of an update. */
const BULK = 1 << 20;

async function main(folder: string, updateBytes: number, readBytes: number): Promise<void> {
  const store = new BareStore(join(folder, "bare.sqlite"));
  const update = Buffer.alloc(updateBytes, "u");
  const watchers = new Set<grpc.ServerDuplexStream<Buffer, Buffer>>();
  let writes = 0;
  const commit = (value: Uint8Array) => store.putTogether(`instance/local/service/${writes++ % 500}`, value);
  const say = () => watchers.forEach((watcher) => watcher.write(update));

  const server = new grpc.Server({ "grpc-node.max_session_memory": Number.MAX_SAFE_INTEGER });
  server.addService(BARE_SERVICE, {
    echo: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => call.on("data", (message) => call.write(message)),
    watch: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      call.once("data", () => call.write(update));
      // Further messages say that it has got an update, as the contract's followers do.
      call.on("data", () => watchers.add(call));
      call.on("cancelled", () => watchers.delete(call));
    },
    bulk: (call: grpc.ServerDuplexStream<Buffer, Buffer>) =>
      call.once("data", (message) => {
        let left = Number(message);
        for (; left > 0; left -= BULK) call.write(Buffer.alloc(Math.min(left, BULK), "b"));
        call.end();
      }),
    write: (call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) =>
      commit(call.request).then(say).then(() => callback(null, Buffer.from("{}"))),
  });
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure();
    server.bindAsync("127.0.0.1:0", credentials, (error, port) => error ? reject(error) : resolve(port));
  });

  const app = new Hono();
  const body = async (request: { arrayBuffer(): Promise<ArrayBuffer> }) => new Uint8Array(await request.arrayBuffer());
  app.put("/answer", async ({ req }) => (await body(req), new Response("{}")));
  app.put("/commit", async ({ req }) => (await commit(await body(req)), new Response("{}")));
  app.put("/path", async ({ req }) => (await commit(await body(req)), say(), new Response("{}")));
  const listen = { hostname: "127.0.0.1", port: 0, onListen() {} };
  const http = Deno.serve(listen, app.fetch).addr.port;
  const text = "r".repeat(readBytes);
  const reads = Deno.serve(listen, () => new Response(text)).addr.port;
  console.log(JSON.stringify({ http, reads, grpc: port }));
}

if (import.meta.main) {
  const [folder = "", updateBytes, readBytes] = Deno.args;
  await main(folder, Number(updateBytes), Number(readBytes));
}

import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { createClient } from "../../proto/grpc.ts";
import { GetMapRequestSchema, WatchRequestSchema } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { RegistryService } from "../../proto/gen/portolan/v1/registry_pb.ts";
import * as http2 from "./raw_http2.ts";
import { ROOT, start } from "./testing/program.ts";

const WATCH = "/portolan.v1.DiscoveryService/Watch";
const GET_MAP = "/portolan.v1.DiscoveryService/GetMap";
const REGISTER = "/portolan.v1.RegistryService/Register";
const HEALTH = "/grpc.health.v1.Health/Watch";

const scope = { realm: "local" };
const subscribe = (subscription: number) => {
  const message = { case: "subscribe" as const, value: { scope, subscription } };
  return toBinary(WatchRequestSchema, create(WatchRequestSchema, { message }));
};
const getMap = toBinary(GetMapRequestSchema, create(GetMapRequestSchema, { scope }));

/** `count` times what `of` makes, with the numbers of streams. */
const streams = (count: number, of: (stream: number) => readonly Uint8Array[]) =>
  http2.joined([http2.OPENING, ...Array.from({ length: count }, (_, i) => http2.joined(of(2 * i + 1)))]);

const REALM = "/api/v1/realms/local";
const request = (line: string, rest = "") => `${line} HTTP/1.1\r\nhost: a\r\n${rest}`;

/** What somebody sends on each of so many connections, and never reads what comes back. */
interface Flood {
  readonly over: "http" | "grpc";
  readonly connections: number;
  readonly says: string | Uint8Array;
}

const http = (connections: number, says: string): Flood => ({ over: "http", connections, says });
const grpc = (connections: number, says: Uint8Array): Flood => ({ over: "grpc", connections, says });

const FLOODS: Readonly<Record<string, Flood>> = {
  "headers that never end": http(300, request("GET /healthz", "x: ")),
  "bodies that never come": http(300, request(`PUT ${REALM}/services/a`, "content-length: 1000000\r\n\r\n{")),
  "pieces that never end": http(
    300,
    request(`PUT ${REALM}/services/a`, "transfer-encoding: chunked\r\n\r\n1\r\n{\r\n"),
  ),
  "bodies of brackets": http(
    20,
    request(`PUT ${REALM}/services/a`, `content-length: 1048576\r\n\r\n${"[".repeat(1 << 20)}`),
  ),
  "a megabyte of headers": http(50, request("GET /healthz", `x: ${"y".repeat(1 << 20)}\r\n\r\n`)),
  "events that nobody reads": http(400, request(`GET ${REALM}/watch`, "\r\n")),
  "maps that nobody reads": http(300, request(`GET ${REALM}/map`, "\r\n")),
  "histories that nobody reads": http(50, request(`GET ${REALM}/history`, "\r\n")),
  "connections that say nothing": grpc(300, new Uint8Array()),
  "watches that nobody reads": grpc(
    5,
    streams(100, (one) => [http2.headers(one, WATCH), http2.message(one, subscribe(1))]),
  ),
  "one watch that asks again and again": grpc(
    1,
    streams(
      1,
      (one) => [
        http2.headers(one, WATCH),
        ...Array.from({ length: 5_000 }, (_, i) => http2.message(one, subscribe(i + 1))),
      ],
    ),
  ),
  "reads that nobody reads": grpc(
    3,
    streams(100, (one) => [http2.headers(one, GET_MAP), http2.message(one, getMap, true)]),
  ),
  "calls that say nothing": grpc(1, streams(2_000, (one) => [http2.headers(one, REGISTER)])),
  "health that nobody asks for": grpc(
    1,
    streams(1_000, (one) => [http2.headers(one, HEALTH), http2.message(one, new Uint8Array(), true)]),
  ),
  "streams that are given up at once": grpc(1, streams(20_000, (one) => [http2.headers(one, WATCH), http2.reset(one)])),
  "metadata of 16 MiB": grpc(2, streams(1, (one) => [http2.headers(one, WATCH, [["x", "y".repeat(16 << 20)]])])),
  "a thousand names in metadata": grpc(
    20,
    streams(1, (one) => [
      http2.headers(one, WATCH, Array.from({ length: 1_000 }, (_, i) => [`x-${i}`, "y".repeat(100)] as const)),
    ]),
  ),
  "pings": grpc(1, http2.joined([http2.OPENING, ...Array.from({ length: 100_000 }, http2.ping)])),
  "settings": grpc(1, http2.joined([http2.OPENING, ...Array.from({ length: 100_000 }, http2.settings)])),
};

/** The flood, until it is disposed. Who breaks a connection off has every right to. */
async function flood({ over, connections, says }: Flood, ports: Readonly<Record<Flood["over"], number>>) {
  const bytes = typeof says === "string" ? new TextEncoder().encode(says) : says;
  const open: Deno.Conn[] = [];
  const write = async (connection: Deno.Conn) => {
    for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
  };
  for (let i = 0; i < connections; i++) {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: ports[over] });
    open.push(connection);
    write(connection).catch(() => {});
  }
  return {
    [Symbol.dispose]() {
      for (const connection of open) connection.close();
    },
  };
}

const portOf = (address: unknown) => Number(String(address).split(":").at(-1));

Deno.test("whatever floods come from one address, another one is served, in bounded memory", async () => {
  const anywhere = ["--http", "[::]:0", "--grpc", "[::]:0", "--insecure"];
  const args = ["--store", "memory:", ...anywhere, "--max-requests", "200", "--max-watches", "300"];
  await using controlPlane = start("control-plane/main.ts", "control-plane", args);
  const serving = await controlPlane.logged("Serving");
  const ports = { http: portOf(serving["http"]), grpc: portOf(serving["grpc"]) };
  const url = `http://[::1]:${ports.http}${REALM}`;
  const registry = createClient(RegistryService, `[::1]:${ports.grpc}`);
  const metadata = { k: "v".repeat(4_000) };
  const register = (service: string, port: number) =>
    registry.register({ realm: "local", service, id: "i", instance: { host: "a", port, metadata } }, {
      timeoutMs: 30_000,
    });
  await Promise.all(Array.from({ length: 100 }, (_, i) => register(`s${i}`, 1)));
  const isServed = async (round: number) => {
    await register("s0", 2 + round);
    const body = JSON.stringify({ host: "a", port: 2 + round });
    const answers = [
      await fetch(`${url}/services/s1/instances/i`, { method: "PUT", body }),
      await fetch(`${url}/services/s1/instances/i`),
    ];
    for (const answer of answers) assert.equal(answer.status, 200, await answer.text());
  };
  let rounds = 0;
  for (const [name, one] of Object.entries(FLOODS)) {
    using _ = await flood(one, ports);
    for (let i = 0; i < 3; i++) {
      await isServed(rounds++).catch((error) => assert.fail(`${name}: ${error.message}`));
    }
  }
  const megabytes = Number(/VmRSS:\s+(\d+) kB/.exec(Deno.readTextFileSync(`/proc/${controlPlane.pid}/status`))?.[1]) /
    1_024;
  assert.ok(megabytes < 1_000, `${megabytes} MB`);
  registry.close();
  assert.equal((await controlPlane.end("SIGTERM")).code, 0, controlPlane.output());
});

Deno.test("more connections than files may be open do not end the control plane", async () => {
  const limited = ["-c", 'ulimit -n 100; exec "$@"', "sh", Deno.execPath()];
  const args = ["run", "--quiet", "--cached-only", "--frozen", "-P=control-plane", "control-plane/main.ts"];
  const ends = ["--store", "memory:", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"];
  const child = new Deno.Command("sh", {
    args: [...limited, ...args, ...ends],
    cwd: ROOT,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const lines = child.stderr.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
  let output = "";
  const logged = async (message: string) => {
    while (!output.includes(`"${message}"`)) output += (await lines.next()).value ?? assert.fail(output);
  };
  await logged("Serving");
  const port = Number(/"http":"127\.0\.0\.1:(\d+)"/.exec(output)?.[1]);
  const connections: Deno.Conn[] = [];
  let full = false;
  const said = logged("Cannot accept HTTP connections: trying again").then(() => full = true);
  while (!full) {
    // Refused while nobody listens.
    const opened = await Promise.allSettled(Array.from({ length: 50 }, () => connected(port)));
    for (const one of opened) if (one.status === "fulfilled") connections.push(one.value);
  }
  await said;
  for (const connection of connections) connection.close();
  const alive = async () => {
    const response = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(1_000) });
    return (await response.json()).status;
  };
  let answer: unknown;
  for (let tries = 0; answer !== "alive" && tries < 100; tries++) {
    answer = await alive().catch(() => new Promise((resolve) => setTimeout(resolve, 50)));
  }
  assert.equal(answer, "alive", output);
  child.kill("SIGTERM");
  const [{ code }] = await Promise.all([
    child.status,
    (async () => {
      while (!(await lines.next()).done);
    })(),
  ]);
  assert.equal(code, 0);
});

/** Who is not let in soon is not waited for: the system would go on trying for a minute. */
async function connected(port: number): Promise<Deno.Conn> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), 500);
  try {
    return await Deno.connect({ hostname: "127.0.0.1", port, signal: late.signal });
  } finally {
    clearTimeout(timer);
  }
}

import assert from "node:assert/strict";
import { bodiesWithin } from "./http_body.ts";
import { createLog } from "../../proto/log.ts";
import { serveHttp } from "./http.ts";
import { ask, testControlPlane, testPorts } from "./testing.ts";

Deno.test("HTTP stops in bounded time, whoever does not end", async () => {
  await using plane = await testControlPlane();
  const { hostname, port, pathname } = new URL(plane.url);
  // A body that never comes whole, and a reader of events that never reads.
  using body = await Deno.connect({ hostname, port: Number(port) });
  await body.write(new TextEncoder().encode(
    `PUT ${pathname}/services/a/instances/i HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{`,
  ));
  using reader = await Deno.connect({ hostname, port: Number(port) });
  await reader.write(new TextEncoder().encode(`GET ${pathname}/watch HTTP/1.1\r\nhost: a\r\n\r\n`));
  await plane.stop();
});

Deno.test("a reason in a header is read as the UTF-8 that senders mean", async () => {
  const reasons: unknown[] = [];
  const log = createLog("test", (line) => reasons.push(JSON.parse(line).reason));
  await using plane = await testControlPlane({ log });
  const { hostname, port, pathname } = new URL(plane.url);
  using tcp = await Deno.connect({ hostname, port: Number(port) });
  const body = '{"host":"127.0.0.1","port":1}';
  const head = `PUT ${pathname}/services/a/instances/i HTTP/1.1\r\nhost: a\r\nportolan-reason: größer\r\n`;
  await tcp.write(new TextEncoder().encode(`${head}content-length: ${body.length}\r\n\r\n${body}`));
  await tcp.read(new Uint8Array(4096));
  assert.ok(reasons.includes("größer"), JSON.stringify(reasons));
});

/** Sends bytes as they are, and answers with what comes first, or with how the connection broke. */
async function exchange(port: number, request: string): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const buffer = new Uint8Array(65_536);
  try {
    await connection.write(new TextEncoder().encode(request));
    return new TextDecoder().decode(buffer.subarray(0, await connection.read(buffer) ?? 0));
  } catch (error) {
    return String(error);
  }
}

Deno.test("a body that does not come whole in time is answered 408, and has its place no more", async () => {
  await using parts = await testPorts();
  await using server = serveHttp(parts.ports, { host: "127.0.0.1", port: 0 }, { bodies: bodiesWithin(20) });
  const { port } = server.address;
  const path = "/api/v1/realms/local/services/a/instances/i1";
  for (
    const rest of [
      'content-length: 100\r\n\r\n{"host":',
      "content-length: 100\r\n\r\n",
      "transfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
      "transfer-encoding: chunked\r\n\r\n",
    ]
  ) {
    const answer = await exchange(port, `PUT ${path} HTTP/1.1\r\nhost: a\r\n${rest}`);
    assert.match(
      answer,
      /^HTTP\/1\.1 408 [^]*\r\ncontent-type: application\/problem\+json\r\n[^]*\r\nconnection: close\r\n/,
    );
    const problem = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")));
    assert.deepEqual([problem.status, problem.code], [408, "DEADLINE_EXCEEDED"]);
    assert.equal(parts.requests.taken, 0);
  }
  const good = await ask(`http://127.0.0.1:${port}${path}`, "PUT", { body: { host: "a", port: 1 } });
  assert.equal(good.status, 200);
});

Deno.test("headers beyond all need are refused by the runtime, and the server goes on", async () => {
  await using plane = await testControlPlane();
  const port = Number(new URL(plane.url).port);
  const lines = (count: number) => Array.from({ length: count }, (_, i) => `x-${i}: y\r\n`).join("");
  for (
    const head of [
      `GET /healthz HTTP/1.1\r\nhost: a\r\n${lines(10_000)}\r\n`,
      `GET /healthz HTTP/1.1\r\nhost: a\r\nx: ${"y".repeat(1 << 20)}\r\n\r\n`,
      `GET /${"y".repeat(1 << 20)} HTTP/1.1\r\nhost: a\r\n\r\n`,
      "\0".repeat(1_000),
    ]
  ) {
    const answer = await exchange(port, head);
    // Whether the answer arrives before the connection breaks is for the network to say.
    assert.match(answer, /^(?:HTTP\/1\.1 4\d\d |$|.*(?:reset|pipe))/i, answer.slice(0, 100));
    assert.equal((await ask(`${plane.origin}/healthz`)).status, 200);
  }
});

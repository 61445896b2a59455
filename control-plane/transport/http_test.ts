import assert from "node:assert/strict";
import { createLog } from "../../proto/log.ts";
import { testControlPlane } from "./testing.ts";

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
  await using plane = await testControlPlane(log);
  const { hostname, port, pathname } = new URL(plane.url);
  using tcp = await Deno.connect({ hostname, port: Number(port) });
  const body = '{"host":"127.0.0.1","port":1}';
  const head = `PUT ${pathname}/services/a/instances/i HTTP/1.1\r\nhost: a\r\nportolan-reason: größer\r\n`;
  await tcp.write(new TextEncoder().encode(`${head}content-length: ${body.length}\r\n\r\n${body}`));
  await tcp.read(new Uint8Array(4096));
  assert.ok(reasons.includes("größer"), JSON.stringify(reasons));
});

import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { once } from "node:events";
import { createFetch } from "./fetch.ts";

/**
 * Answers the first request of each connection and keeps it; resets the connection when another request has been read
 * on it: what a server does whose keep-alive ends while a request is under way. Counts what arrives, by path.
 */
async function resettingServer() {
  const delivered = new Map<string, number>();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    let requests = 0;
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", (bytes) => {
      const path = /^[A-Za-z]+ (\S+) HTTP/.exec(bytes.toString("latin1"))?.[1];
      if (path === undefined) return;
      delivered.set(path, (delivered.get(path) ?? 0) + 1);
      requests++ === 0 ? socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok") : socket.resetAndDestroy();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return {
    origin: `http://127.0.0.1:${port}`,
    delivered,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

Deno.test("createFetch() delivers an unsafe request once, whatever becomes of kept connections", async () => {
  await using server = await resettingServer();
  const call = createFetch({ sidecar: server.origin });
  for (const [index, method] of ["POST", "PATCH", "post", "patch", "PURGE"].entries()) {
    await (await call("service://identity/warm")).text();
    const outcome = call(`service://identity/${index}`, { method, body: "pay" }).then((response) => response.text());
    await outcome.catch(() => {});
    assert.equal(server.delivered.get(`/${index}`), 1, method);
  }
});

Deno.test("the platform's own fetch delivers a POST twice here: why unsafe requests have connections of their own", async () => {
  await using server = await resettingServer();
  await (await fetch(`${server.origin}/warm`)).text();
  await fetch(`${server.origin}/post`, { method: "POST", body: "pay" }).then((response) => response.text(), () => {});
  assert.equal(server.delivered.get("/post"), 2);
});

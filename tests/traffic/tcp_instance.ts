/** An instance that sends back what it gets. Bytes carry no ids: it writes nothing down. */
import type { Instance } from "./instance.ts";

export function startTcpInstance(): Promise<Instance> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections = new Set<Deno.TcpConn>();
  const ended = (async () => {
    for await (const connection of listener) {
      connections.add(connection);
      // Cut by the other end, or by `stop`.
      connection.readable.pipeTo(connection.writable).catch(() => {}).finally(() => connections.delete(connection));
    }
  })();
  return Promise.resolve({
    port: listener.addr.port,
    async stop(gently) {
      listener.close();
      if (!gently) { for (const connection of connections) connection.close(); }
      await ended;
    },
  });
}

/**
 * A small real service: says who it is. Registers when it starts; on Ctrl-C it deregisters, finishes what it is
 * answering, and ends.
 *
 * Try: deno run -P=example examples/identity/main.ts --id mine --version 2
 */
import { parseArgs } from "node:util";
import { register } from "../../sdk-ts/register.ts";

const { values } = parseArgs({
  options: { id: { type: "string", default: "one" }, version: { type: "string", default: "1" } },
});
const service = "identity";
const version = Number(values.version);

function answer(request: Request): Response {
  const { pathname } = new URL(request.url);
  if (pathname === "/healthz") return new Response("ok\n");
  return Response.json({
    service,
    instance: values.id,
    version,
    // One tag for the whole way of a request: whoever calls others carries it on.
    flow: request.headers.get("portolan-flow"),
    path: pathname,
  });
}

const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, answer);
const stopped = Promise.race([signal("SIGINT"), signal("SIGTERM")]);

const stopTrying = new AbortController();
stopped.then(() => stopTrying.abort());
try {
  await using registration = await register({
    controlPlanes: (Deno.env.get("PORTOLAN_CONTROL_PLANE") || "127.0.0.1:7401").split(","),
    realm: Deno.env.get("PORTOLAN_REALM") || "local",
    service,
    id: values.id,
    // Killed, it deregisters nothing: then the map forgets it after this time.
    instance: { host: "127.0.0.1", port: server.addr.port, version, ttlMs: 15_000 },
    signal: stopTrying.signal,
  });
  console.log(`${service}/${values.id} v${version} on port ${server.addr.port}, revision ${registration.revision}`);
  await stopped;
} catch (error) {
  console.error((error as Error).message);
  Deno.exitCode = 1;
}
await server.shutdown();
Deno.exit();

function signal(name: Deno.Signal): Promise<void> {
  return new Promise((resolve) => Deno.addSignalListener(name, () => resolve()));
}

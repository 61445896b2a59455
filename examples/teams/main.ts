/**
 * A service that calls another one by name: for each request it asks `identity`, in the same flow. Where identity
 * listens, which version answers, what is a canary: the map knows, this file does not.
 *
 * Try: deno run -P=example examples/teams/main.ts
 */
import { parseArgs } from "node:util";
import { createFetch } from "../../sdk-ts/fetch.ts";
import { register } from "../../sdk-ts/register.ts";

const { values } = parseArgs({
  options: { id: { type: "string", default: "one" }, version: { type: "string", default: "1" } },
});
const service = "teams";
const version = Number(values.version);
const fetch = createFetch({ timeoutMs: 5_000 });

async function answer(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (pathname === "/healthz") return new Response("ok\n");
  const flow = request.headers.get("portolan-flow");
  const about = { service, instance: values.id, version, flow };
  try {
    const called = await fetch("service://identity/teams/7", { headers: flow ? { "portolan-flow": flow } : {} });
    const identity = await called.json();
    return Response.json({ ...about, identity }, { status: called.ok ? 200 : 502 });
  } catch (error) {
    return Response.json({ ...about, problem: (error as Error).message }, { status: 502 });
  }
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

/** What a control plane tells of itself: to Prometheus, who asks, and to a collector, when the environment names one. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { create, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { createClient } from "../../proto/grpc.ts";
import { DiscoveryService } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { RegisterRequestSchema, RegisterResponseSchema } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { Exposition } from "../../proto/testing/exposition.ts";
import { startedControlPlane } from "./control_plane.ts";
import { startCollector } from "./testing/collector.ts";
import { type Program, start } from "./testing/program.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const CALLER = "b7ad6b7169203331";
const TRACEPARENT = `00-${TRACE}-${CALLER}-01`;

Deno.test("GET /metrics tells of the map, its watchers, and what was asked", async () => {
  await using plane = await startedControlPlane();
  const discovery = createClient(DiscoveryService, plane.grpc);
  const watch = discovery.watch();
  // Without it a failure of the test would be hidden by what becomes of the watch.
  watch.on("error", () => {});
  const first = once(watch, "data");
  watch.on("data", ({ part }) => {
    const position = part?.position;
    watch.write({ message: { case: "received", value: { position } } });
    watch.write({ message: { case: "applied", value: { position } } });
  });
  watch.write({ message: { case: "subscribe", value: { scope: { realm: "local" }, subscription: 1 } } });
  await first;
  await put(plane.http, "identity", "a");
  await put(plane.http, "identity", "b");
  const refused = await fetch(`${plane.http}/api/v1/realms/local/services/none/instances/a`, { method: "DELETE" });
  await refused.body?.cancel();
  // What the watcher says is on its way.
  const { value } = await scrapeUntil(
    plane.http,
    ({ value }) => (value("portolan_propagation_duration_seconds_count") ?? 0) > 0,
  );
  assert.equal(value("portolan_watchers"), 1);
  assert.equal(value("portolan_leases"), 0);
  assert.equal(value("portolan_services", { realm: "local" }), 1);
  assert.equal(value("portolan_instances", { realm: "local" }), 2);
  assert.equal(value("portolan_held_instances", { realm: "local" }), 0);
  assert.ok(value("portolan_owed_names") !== undefined);
  assert.ok((value("portolan_commit_duration_seconds_count") ?? 0) >= 2);
  assert.ok((value("portolan_commits_total", { outcome: "committed" }) ?? 0) >= 2);
  assert.ok((value("portolan_fanout_duration_seconds_count") ?? 0) >= 1);
  const route = "/api/v1/realms/:realm/services/:service/instances/:id";
  assert.equal(value("portolan_http_requests_total", { method: "PUT", route, code: "200" }), 2);
  assert.equal(value("portolan_http_requests_total", { method: "DELETE", route, code: "404" }), 1);
  assert.equal(value("portolan_refused_changes_total", { operation: "deregister", code: "not_found" }), 1);

  watch.end();
  watch.resume();
  await once(watch, "end");
  discovery.close();
  // Its end is on its way.
  const ended = { method: "portolan.v1.DiscoveryService/Watch", code: "OK" };
  const after = await scrapeUntil(plane.http, ({ value }) => value("portolan_grpc_requests_total", ended) === 1);
  assert.equal(after.value("portolan_watchers"), 0);
});

Deno.test("a control plane sends its spans and metrics to the collector that the environment names, to the last", async () => {
  await using collector = startCollector();
  // With the intervals as they are, what arrives is what was sent at the end.
  await using plane = await startPlane({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_SERVICE_NAME: "map",
  });
  await put(plane.http, "identity", "a", { traceparent: TRACEPARENT });
  await register(plane.grpc, "identity", "b", { traceparent: TRACEPARENT });
  assert.equal((await scrape(plane.http)).value("portolan_instances", { realm: "local" }), 2);
  assert.equal((await plane.end("SIGTERM")).code, 0);

  const spans = collector.spans();
  const route = "/api/v1/realms/:realm/services/:service/instances/:id";
  const [http] = spans.filter(({ name }) => name === `PUT ${route}`);
  assert.ok(http, JSON.stringify(spans));
  assert.deepEqual([http.traceId, http.parentSpanId, http.kind], [TRACE, CALLER, 2]);
  assert.deepEqual(http.attributes, {
    "http.request.method": "PUT",
    "http.response.status_code": 200,
    "http.route": route,
    "url.path": "/api/v1/realms/local/services/identity/instances/a",
    "url.scheme": "http",
  });
  const [rpc] = spans.filter(({ name }) => name === "portolan.v1.RegistryService/Register");
  assert.ok(rpc, JSON.stringify(spans));
  assert.deepEqual([rpc.traceId, rpc.parentSpanId, rpc.kind], [TRACE, CALLER, 2]);
  assert.deepEqual(rpc.attributes, {
    "rpc.system.name": "grpc",
    "rpc.method": "portolan.v1.RegistryService/Register",
    "rpc.status_code": "OK",
  });
  for (const parent of [http, rpc]) {
    const [commit] = spans.filter(({ parentSpanId }) => parentSpanId === parent.spanId);
    assert.ok(commit, JSON.stringify(spans));
    assert.deepEqual([commit.traceId, commit.name], [TRACE, "commit"]);
    assert.deepEqual(commit.attributes, { "portolan.outcome": "committed" });
  }

  const metrics = collector.metrics();
  assert.ok((metrics.get("portolan_commit_duration_seconds")?.[0]?.count ?? 0) >= 2);
  assert.deepEqual(metrics.get("portolan_instances"), [{ attributes: { realm: "local" }, value: 2 }]);
  assert.ok(
    metrics.get("portolan_grpc_requests_total")?.some(({ attributes, value }) =>
      attributes["code"] === "OK" && value === 1
    ),
  );
  assert.deepEqual(collector.services(), ["map"]);
  assert.doesNotMatch(plane.output(), /"level":"(warn|error)"/);
});

Deno.test("a control plane speaks protobuf to a collector unless told otherwise, and says whose telemetry it is", async () => {
  await using collector = startCollector();
  await using plane = await startPlane({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  await put(plane.http, "identity", "a");
  await plane.end("SIGTERM");
  for (const [path, text] of [["/v1/traces", "http.route"], ["/v1/metrics", "portolan_watchers"]] as const) {
    const bodies = collector.requests.filter((request) => request.path === path);
    assert.ok(bodies.length > 0, path);
    for (const { type, body } of bodies) {
      assert.equal(type, "application/x-protobuf");
      assert.ok(body.includes(text), path);
      assert.ok(body.includes("portolan-control-plane"), path);
    }
  }
});

Deno.test("a collector that never answers costs a control plane no request, and 2 s at its end at most", async () => {
  using collector = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
    // Exports are under way all the time.
    OTEL_BSP_SCHEDULE_DELAY: "10",
    OTEL_METRIC_EXPORT_INTERVAL: "10",
    OTEL_METRIC_EXPORT_TIMEOUT: "10",
  };
  await using plane = await startPlane(env);
  const held = await collector.accept();
  for (let i = 0; i < 50; i++) await put(plane.http, "identity", `i${i}`);
  assert.equal((await scrape(plane.http)).value("portolan_instances", { realm: "local" }), 50);
  const begun = performance.now();
  assert.equal((await plane.end("SIGTERM")).code, 0);
  // What its servers may take is on top; nobody waits for the 10 s that an export may.
  assert.ok(performance.now() - begun < 6_000);
  held.close();
});

async function startPlane(env: Readonly<Record<string, string>>) {
  const args = ["--store", "memory:", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"];
  const before = Object.keys(env).map((name) => [name, Deno.env.get(name)] as const);
  for (const [name, value] of Object.entries(env)) Deno.env.set(name, value);
  const plane: Program = start("control-plane/main.ts", "control-plane", args);
  for (const [name, value] of before) value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
  const { http, grpc } = await plane.logged("Serving");
  return { ...plane, http: `http://${http}`, grpc: String(grpc) };
}

async function put(http: string, service: string, id: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${http}/api/v1/realms/local/services/${service}/instances/${id}`, {
    method: "PUT",
    headers,
    body: JSON.stringify({ host: "127.0.0.1", port: 1 }),
  });
  assert.equal(response.status, 200);
  return await response.json() as { readonly revision: string };
}

async function register(address: string, service: string, id: string, headers: Record<string, string>) {
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), { "grpc.client_idle_timeout_ms": 1_000 });
  const metadata = grpc.Metadata.fromHttp2Headers(headers);
  const request = create(RegisterRequestSchema, { realm: "local", service, id, instance: { host: "a", port: 1 } });
  await new Promise<MessageShape<typeof RegisterResponseSchema>>((resolve, reject) =>
    client.makeUnaryRequest(
      "/portolan.v1.RegistryService/Register",
      (message) => Buffer.from(toBinary(RegisterRequestSchema, message)),
      (bytes) => fromBinary(RegisterResponseSchema, bytes),
      request,
      metadata,
      (error, response) => error || !response ? reject(error) : resolve(response),
    )
  );
  client.close();
}

async function scrape(http: string): Promise<Exposition> {
  const response = await fetch(`${http}/metrics`);
  assert.match(response.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  return new Exposition(await response.text());
}

async function scrapeUntil(http: string, holds: (metrics: Exposition) => boolean): Promise<Exposition> {
  for (const late = AbortSignal.timeout(10_000); !late.aborted;) {
    const metrics = await scrape(http);
    if (holds(metrics)) return metrics;
  }
  return assert.fail("the metrics never said so");
}

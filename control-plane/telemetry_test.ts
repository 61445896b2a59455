import assert from "node:assert/strict";
import { apply, type Change } from "./domain/change.ts";
import { emptyMap, type Instance } from "./domain/cluster_map.ts";
import type { Epoch, Realm, Revision, ServiceName } from "./domain/names.ts";
import { DEFAULT_SPEC } from "./domain/service_spec.ts";
import type { Update } from "./domain/update.ts";
import { openMemoryStore } from "./store/memory.ts";
import { asksForExport, type Environment, openTelemetry } from "./telemetry.ts";
import { SILENT } from "../proto/log.ts";
import { Exposition } from "../proto/testing/exposition.ts";
import { VERSION } from "../proto/version.ts";

const from = { header: () => undefined };
const opened = () => openTelemetry({}, SILENT);

Deno.test("openTelemetry() measures this process, and nothing of a map that it does not know yet", async () => {
  await using telemetry = await opened();
  const metrics = new Exposition(telemetry.text());
  assert.equal(metrics.value("portolan_build_info", { version: VERSION, deno: Deno.version.deno }), 1);
  for (const name of ["process_resident_memory_bytes", "process_heap_bytes"]) {
    assert.ok((metrics.value(name) ?? 0) > 1_000_000, name);
  }
  assert.deepEqual(metrics.names().filter((name) => metrics.all(name).length > 0), [
    "process_resident_memory_bytes",
    "process_heap_bytes",
    "portolan_build_info",
  ]);
});

Deno.test("openTelemetry() counts requests by method, route and code, and refused changes by operation and code", async () => {
  await using telemetry = await opened();
  const register = telemetry.begin("grpc", "portolan.v1.RegistryService/Register", from);
  assert.equal(register.within(() => "answer"), "answer");
  register.answered("OK");
  // A second call may begin before the first one ends.
  const [one, two] = ["GET", "GET"].map((method) => telemetry.begin("http", method, from));
  one!.answered("200", "/healthz");
  two!.answered("404");
  telemetry.begin("http", "GET", from).answered("200", "/healthz");
  telemetry.refused("register", "too_large");
  const metrics = new Exposition(telemetry.text());
  const method = "portolan.v1.RegistryService/Register";
  assert.equal(metrics.value("portolan_grpc_requests_total", { method, code: "OK" }), 1);
  assert.equal(metrics.value("portolan_http_requests_total", { method: "GET", route: "/healthz", code: "200" }), 2);
  assert.equal(metrics.value("portolan_http_requests_total", { method: "GET", route: "", code: "404" }), 1);
  assert.equal(metrics.value("portolan_refused_changes_total", { operation: "register", code: "too_large" }), 1);
});

Deno.test("openTelemetry() measures the commits of a store", async () => {
  await using telemetry = await opened();
  await using store = telemetry.measureCommits(openMemoryStore());
  const write = { key: "k", value: new Uint8Array() };
  assert.equal((await store.commit([write])).kind, "committed");
  assert.equal((await store.commit([write], [{ key: "k", revision: 0n as Revision }])).kind, "conflict");
  assert.deepEqual((await store.read("")).entries.map(({ key }) => key), ["k"]);
  const metrics = new Exposition(telemetry.text());
  assert.equal(metrics.value("portolan_commits_total", { outcome: "committed" }), 1);
  assert.equal(metrics.value("portolan_commits_total", { outcome: "conflict" }), 1);
  assert.equal(metrics.value("portolan_commit_duration_seconds_count"), 2);
});

Deno.test("a watch counts what arrived while it stood, until it is delivered and until it is applied", async () => {
  await using telemetry = await opened();
  const counts = () => {
    const metrics = new Exposition(telemetry.text());
    return ["fanout", "propagation"].map((name) => metrics.value(`portolan_${name}_duration_seconds_count`));
  };
  telemetry.moved();
  await new Promise((resolve) => setTimeout(resolve, 1));
  const watch = telemetry.watch();
  watch.delivered(update(1, { complete: true }));
  watch.delivered(update(1, { deleted: ["a"] }));
  watch.applied(1n as Revision);
  assert.deepEqual(counts(), [0, 0], "it only caught up");

  telemetry.moved();
  watch.delivered(update(2, {}));
  watch.delivered(update(2, { complete: true, deleted: ["a"] }));
  watch.applied(2n as Revision);
  assert.deepEqual(counts(), [0, 0], "an idle watch was told that it is complete, or all of it again");

  watch.delivered(update(3, { deleted: ["a"] }));
  assert.deepEqual(counts(), [1, 0]);
  telemetry.moved();
  watch.delivered(update(4, { deleted: ["b"] }));
  watch.applied(2n as Revision);
  assert.deepEqual(counts(), [2, 0], "it has not come to revision 3 yet");
  watch.applied(4n as Revision);
  watch.applied(4n as Revision);
  assert.deepEqual(counts(), [2, 1], "both at once, and once");
});

Deno.test("openTelemetry() looks up watchers, leases and the map's sizes when it is asked", async () => {
  await using telemetry = await opened();
  let map = emptyMap(1n as Epoch);
  telemetry.reads({ map: () => map, watchers: () => 3, owed: () => 4, leases: () => 5 });
  const read = () => {
    const metrics = new Exposition(telemetry.text());
    return {
      ...Object.fromEntries(
        ["watchers", "owed_names", "leases"].map((name) => [name, metrics.value(`portolan_${name}`)]),
      ),
      ...Object.fromEntries(
        ["services", "instances", "held_instances"].map((
          name,
        ) => [name, metrics.all(`portolan_${name}`).map(({ labels, value }) => `${labels["realm"]} ${value}`).sort()]),
      ),
    };
  };
  const always = { watchers: 3, owed_names: 4, leases: 5 };
  assert.deepEqual(read(), { ...always, services: [], instances: [], held_instances: [] });
  map = apply(map, 1n as Revision, [service("local", "a"), service("local", "b"), service("testing", "a")]);
  const put = [
    instance("local", "a", "i1", true),
    instance("local", "a", "i2", false),
    instance("local", "b", "i1", true),
  ];
  map = apply(map, 2n as Revision, put);
  assert.deepEqual(read(), {
    ...always,
    services: ["local 2", "testing 1"],
    instances: ["local 3", "testing 0"],
    held_instances: ["local 2", "testing 0"],
  });
  map = apply(map, 3n as Revision, [instance("testing", "a", "i1", false)]);
  assert.deepEqual(read()["instances" as never], ["local 3", "testing 1"]);
});

Deno.test("asksForExport() is told by the standard variables of OpenTelemetry alone", () => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4318" };
  const asking: Environment[] = [
    endpoint,
    { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://127.0.0.1:4318/v1/traces" },
    { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://127.0.0.1:4318/v1/metrics" },
    { OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: "http://127.0.0.1:4318/v1/logs" },
    { OTEL_TRACES_EXPORTER: "console" },
    { OTEL_METRICS_EXPORTER: "otlp" },
    { OTEL_LOGS_EXPORTER: "otlp", OTEL_TRACES_EXPORTER: "none" },
    { ...endpoint, OTEL_SDK_DISABLED: "false" },
  ];
  const silent: Environment[] = [
    {},
    { OTEL_SERVICE_NAME: "portolan", OTEL_RESOURCE_ATTRIBUTES: "a=b" },
    { OTEL_EXPORTER_OTLP_ENDPOINT: " " },
    { OTEL_TRACES_EXPORTER: "none", OTEL_METRICS_EXPORTER: "none", OTEL_LOGS_EXPORTER: "" },
    { ...endpoint, OTEL_SDK_DISABLED: "true" },
    { ...endpoint, OTEL_SDK_DISABLED: " TRUE " },
  ];
  for (const env of asking) assert.equal(asksForExport(env), true, JSON.stringify(env));
  for (const env of silent) assert.equal(asksForExport(env), false, JSON.stringify(env));
});

Deno.test("openTelemetry() measures how late the event loop is", async () => {
  await using telemetry = await opened();
  for (const until = performance.now() + 600; performance.now() < until;);
  await new Promise((resolve) => setTimeout(resolve, 1));
  const metrics = new Exposition(telemetry.text());
  assert.equal(metrics.value("portolan_event_loop_lag_seconds_count"), 1);
  assert.ok((metrics.value("portolan_event_loop_lag_seconds_sum") ?? 0) >= 0.09);
});

function update(revision: number, { complete = false, deleted = [] as readonly string[] }): Update {
  const position = { epoch: 1n as Epoch, revision: BigInt(revision) as Revision };
  return { position, complete, set: [], deleted: deleted as readonly ServiceName[] };
}

function service(realm: string, name: string): Change {
  const of = { realm: realm as Realm, service: name as ServiceName };
  return { kind: "put_service", ...of, enabled: true, spec: DEFAULT_SPEC };
}

function instance(realm: string, name: string, id: string, held: boolean): Change {
  const of = { realm: realm as Realm, service: name as ServiceName };
  const one = { id, host: "127.0.0.1", port: 1, version: 1, weight: 100, metadata: {}, enabled: true, draining: false };
  return {
    kind: "put_instance",
    ...of,
    instance: { ...one, status: "unknown", held } as Omit<Instance, "modified"> as never,
  };
}

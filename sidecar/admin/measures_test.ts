import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { PositionSchema, type Service } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { Exposition } from "../../proto/testing/exposition.ts";
import type { Ended } from "../access/ended.ts";
import type { ReloadReason } from "../routing/diff.ts";
import { EMPTY_PLAN } from "../routing/plan.ts";
import { fakeSources } from "../testing/admin_sources.ts";
import { instance, service } from "../testing/maps.ts";
import { Measures } from "./measures.ts";

function ended(status: number, more: Partial<Ended> = {}): Ended {
  return {
    ...{ frontend: "egress", backend: "b001", server: "i1", termination: "--", retries: 0, endMs: 1_000 },
    ...{ queueMs: 0, connectMs: 0, totalMs: 20, bytesIn: 1, bytesOut: 1 },
    request: {
      ...{ status, responseMs: status < 0 ? -1 : 20, method: "GET", path: "/", later: false },
      ...{ route: "identity", flow: "f", call: undefined, attempt: undefined },
    },
    ...more,
  };
}

function apply(measures: Measures, ...services: readonly (Service | string)[]): void {
  const there = services.filter((one) => typeof one !== "string");
  const changed = new Set(services.map((one) => typeof one === "string" ? one : one.name));
  measures.applied({ services: new Map(there.map((one) => [one.name, one])), changed });
}

const printed = async (measures: Measures) => new Exposition(await measures.text());

Deno.test("requests are counted by service, version and outcome, and timed where an instance answered", async () => {
  const measures = new Measures(fakeSources());
  apply(measures, service("identity", { instances: [instance("i1")] }));
  const target = { service: "identity", version: 1 };
  for (const status of [200, 204, 101, 302, 404, 500, 503]) measures.heard(ended(status), target);
  const { request } = ended(504);
  measures.heard(
    ended(504, { termination: "sH", ...(request && { request: { ...request, responseMs: -1 } }) }),
    target,
  );
  measures.heard(ended(-1, { termination: "CC" }), target);
  measures.heard(ended(404, { backend: "no_service", server: undefined, termination: "LR" }), undefined);
  const text = await printed(measures);
  const counted = text.all("portolan_sidecar_requests_total").map(({ labels, value }) => [
    labels["service"],
    labels["version"],
    labels["outcome"],
    value,
  ]);
  assert.deepEqual(counted, [
    ["identity", "1", "2xx", 2],
    ["identity", "1", "1xx", 1],
    ["identity", "1", "3xx", 1],
    ["identity", "1", "4xx", 1],
    ["identity", "1", "5xx", 2],
    ["identity", "1", "timeout", 1],
    ["identity", "1", "aborted", 1],
    ["", "", "no_service", 1],
  ]);
  const of = { service: "identity", version: "1" };
  assert.equal(text.value("portolan_sidecar_response_duration_seconds_count", of), 7);
  assert.equal(text.value("portolan_sidecar_response_duration_seconds_sum", of), 0.14);
  assert.equal(text.value("portolan_sidecar_response_duration_seconds_bucket", { ...of, le: "0.01" }), 0);
});

Deno.test("connections to a service's own port are counted apart", async () => {
  const measures = new Measures(fakeSources());
  apply(measures, service("bytes", { instances: [instance("t1")] }));
  const { request: _, ...connection } = ended(200, { frontend: "local.bytes" });
  const target = { service: "bytes", version: 1 };
  measures.heard(connection, target);
  measures.heard({ ...connection, termination: "CD" }, target);
  measures.heard({ ...connection, termination: "SC" }, target);
  measures.heard({ ...connection, backend: "local.bytes", server: undefined, termination: "PR" }, {
    service: "bytes",
    version: undefined,
  });
  const text = await printed(measures);
  const value = (version: string, outcome: string) =>
    text.value("portolan_sidecar_connections_total", { service: "bytes", version, outcome });
  assert.deepEqual([value("1", "connected"), value("1", "connect"), value("", "no_instances")], [2, 1, 1]);
  assert.deepEqual(text.all("portolan_sidecar_requests_total"), []);
});

Deno.test("only what is on the map is a label's value, and what leaves it is forgotten", async () => {
  const measures = new Measures(fakeSources());
  const labels = async () => {
    const text = await printed(measures);
    const of = (name: string) =>
      text.all(name).map(({ labels, value }) => [labels["service"], labels["version"], value].join(" "));
    const [requests, timed] = ["requests_total", "response_duration_seconds_count"].map((name) =>
      of(`portolan_sidecar_${name}`)
    );
    assert.deepEqual(requests, timed);
    return requests;
  };
  const hear = (service: string, version?: number) => measures.heard(ended(200), { service, version });
  const [v1, v2] = [instance("i1"), instance("i2", { version: 2 })];
  hear("identity", 1);
  apply(measures, service("identity", { instances: [v1, v2] }), service("teams", { instances: [v1] }));
  hear("identity", 1);
  hear("identity", 2);
  hear("identity", 9);
  hear("identity", 9);
  hear("identity");
  hear("teams", 1);
  hear("made-up", 1);
  assert.deepEqual(await labels(), [" " + " 2", "identity 1 1", "identity 2 1", "identity  3", "teams 1 1"]);
  apply(measures, service("identity", { instances: [v2] }), service("teams", { instances: [v1] }));
  assert.deepEqual(await labels(), ["  2", "identity 2 1", "identity  3", "teams 1 1"]);
  hear("identity", 1);
  apply(measures, service("identity", { instances: [v1] }), "teams");
  assert.deepEqual(await labels(), ["  2", "identity  4"]);
  hear("teams", 1);
  hear("identity", 1);
  assert.deepEqual(await labels(), ["  3", "identity  4", "identity 1 1"]);
});

Deno.test("each reload is counted once, under each kind of reason that it had", async () => {
  const all = fakeSources();
  const measures = new Measures(all);
  const { reloads } = all.reconciler;
  const counts = async () =>
    (await printed(measures)).all("portolan_sidecar_reloads_total").map((
      { labels, value },
    ) => [labels["reason"], value]);
  const reload = (...kinds: ReloadReason["kind"][]) => {
    reloads.count++;
    const reasons = kinds.map((kind) => ({ kind, text: "" }));
    // As many as are remembered.
    reloads.newest = [...reloads.newest, { at: new Date(), reasons }].slice(-2);
  };
  assert.deepEqual(await counts(), []);
  reload("new_service", "new_service", "sticky_header");
  assert.deepEqual(await counts(), [["new_service", 1], ["sticky_header", 1]]);
  assert.deepEqual(await counts(), [["new_service", 1], ["sticky_header", 1]]);
  reload("new_version");
  apply(measures);
  reload("unknown_state");
  reload("new_service");
  assert.deepEqual(await counts(), [["new_service", 2], ["sticky_header", 1], ["new_version", 1], [
    "unknown_state",
    1,
  ]]);
});

Deno.test("all else is looked up when somebody asks; what is not known yet has no series", async () => {
  const all = fakeSources();
  const figures = async () => {
    const text = await printed(new Measures(all));
    return (name: string, labels = {}) => text.value(`portolan_sidecar_${name}`, labels);
  };
  const bare = await figures();
  for (const name of ["map_age_seconds", "applied_revision", "spare_backends"]) assert.equal(bare(name), undefined);
  assert.deepEqual(["connected", "haproxy_up", "old_workers"].map((name) => bare(name)), [0, 0, 0]);
  all.following.connected = true;
  all.following.heardAt = Date.now() - 60_000;
  all.reconciler.applied = create(PositionSchema, { epoch: 1n, revision: 42n });
  all.reconciler.refused = [{ service: "bad", reason: "why" }];
  all.reconciler.running = { ...EMPTY_PLAN, spares: ["b001"] };
  all.reconciler.resolver = { lookups: 10, failedLookups: 4 };
  all.haproxy.workerPid = 1;
  all.haproxy.longStreamsCut = 2;
  all.haproxy.oldWorkers = () => Promise.resolve([{ pid: 1, ageMs: 1, connections: 1 }]);
  all.ejecting = { ejected: [{ service: "a", instance: "i1", forMs: 1 }], isEjected: () => true };
  all.accessLog = { dropped: 3 };
  const full = await figures();
  const age = full("map_age_seconds") ?? 0;
  assert.ok(age >= 60 && age < 120, `${age} s`);
  assert.deepEqual(["connected", "haproxy_up", "applied_revision"].map((name) => full(name)), [1, 1, 42]);
  assert.deepEqual(["refused_services", "spare_backends", "ejected_instances"].map((name) => full(name)), [1, 1, 1]);
  assert.deepEqual(["old_workers", "access_lines_dropped_total"].map((name) => full(name)), [1, 3]);
  assert.equal(full("long_streams_cut_total"), 2);
  assert.deepEqual(["answered", "failed"].map((outcome) => full("lookups_total", { outcome })), [6, 4]);
});

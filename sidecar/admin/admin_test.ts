import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { PositionSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { Exposition } from "../../proto/testing/exposition.ts";
import { VERSION } from "../../proto/version.ts";
import type { Snapshot } from "../../sdk-ts/follow.ts";
import { EMPTY_PLAN } from "../routing/plan.ts";
import { fakeSources } from "../testing/admin_sources.ts";
import { instance, service } from "../testing/maps.ts";
import { createAdmin } from "./admin.ts";
import { Measures } from "./measures.ts";
import type { AdminSources } from "./sources.ts";

const NEW_TEAMS = { kind: "new_service", text: 'new service "teams"' } as const;
const position = create(PositionSchema, { epoch: 1n, revision: 2n ** 60n });

const adminOf = (sources: AdminSources) => createAdmin(sources, new Measures(sources));

async function readiness(of: AdminSources): Promise<unknown> {
  const answer = await adminOf(of).request("/readyz");
  const { ready, reasons } = await answer.json();
  assert.equal(answer.status, ready ? 200 : 503);
  return ready || reasons;
}

Deno.test("a sidecar is ready once it routes by a map, and while HAProxy runs", async () => {
  const all = fakeSources();
  assert.deepEqual(await readiness(all), ["the control plane has not answered yet"]);
  all.following.connected = true;
  assert.deepEqual(await readiness(all), ["the first map is not applied yet"]);
  all.reconciler.applied = position;
  assert.deepEqual(await readiness(all), ["HAProxy does not run"]);
  all.haproxy.down = "somebody else has its port";
  assert.deepEqual(await readiness(all), ["HAProxy does not run: somebody else has its port"]);
  all.haproxy.workerPid = 7;
  all.following.connected = false;
  assert.equal(await readiness(all), true, "calls go on without the control plane");
});

Deno.test("a sidecar that routes by the files it found is ready without a map", async () => {
  const all = { ...fakeSources(), left: { position: "1.7" } };
  assert.deepEqual(await readiness(all), ["HAProxy does not run"]);
  all.haproxy.workerPid = 7;
  assert.equal(await readiness(all), true);
});

Deno.test("GET /state says all that a sidecar knows of itself", async () => {
  const heardAt = Date.now() - 5_000;
  const { reconciler, haproxy } = fakeSources();
  reconciler.applied = position;
  reconciler.running = { ...EMPTY_PLAN, spares: ["b001", "b002"] };
  reconciler.refused = [{ service: "bad", reason: "why" }];
  Object.assign(reconciler.reloads, { count: 1, newest: [{ at: new Date(0), reasons: [NEW_TEAMS] }] });
  Object.assign(haproxy, { workerPid: 7, masterPid: 6, down: "why", adopted: true, loads: 3, longStreamsCut: 1 });
  haproxy.oldWorkers = () =>
    Promise.resolve([{ pid: 5, ageMs: 2_000, connections: 4 }, { pid: 4, ageMs: 9_000, connections: undefined }]);
  const all = {
    ...fakeSources(),
    zone: "a",
    ...{ reconciler, haproxy, following: { heardAt, connected: true, controlPlane: "127.0.0.1:7401" } },
    ejecting: { ejected: [{ service: "identity", instance: "i1", forMs: 30_000 }], isEjected: () => true },
    accessLog: { dropped: 3 },
    registrar: { instances: [{ id: "i1" }], problems: ["one"] },
  };
  const { startedAt, map: { ageMs, ...map }, ...state } = await (await adminOf(all).request("/state")).json();
  assert.ok(ageMs >= 5_000 && ageMs < 60_000, `${ageMs} ms`);
  assert.ok(Math.abs(Date.parse(startedAt) - performance.timeOrigin) < 1_000);
  assert.deepEqual(map, {
    applied: { epoch: "1", revision: String(2n ** 60n) },
    heardAt: new Date(heardAt).toISOString(),
    from: "control plane",
    controlPlane: "127.0.0.1:7401",
    connected: true,
  });
  assert.deepEqual(state, {
    realm: "local",
    egress: "127.0.0.1:7410",
    hostId: "rack1",
    zone: "a",
    version: VERSION,
    refused: [{ service: "bad", reason: "why" }],
    reloads: {
      count: 1,
      newest: [{ at: "1970-01-01T00:00:00.000Z", reasons: ['new service "teams"'] }],
      waits: null,
    },
    haproxy: {
      workerPid: 7,
      masterPid: 6,
      down: "why",
      adopted: true,
      loads: 3,
      oldWorkers: [{ pid: 5, ageMs: 2_000, connections: 4 }, { pid: 4, ageMs: 9_000, connections: null }],
      longStreamsCut: 1,
    },
    spares: 2,
    ejected: [{ service: "identity", instance: "i1", forMs: 30_000 }],
    accessLog: { dropped: 3 },
    registrar: { instances: [{ id: "i1" }], problems: ["one"] },
  });
});

Deno.test("GET /state says where the map comes from, and how old it is while no control plane answers", async () => {
  const map = async (of: AdminSources) => (await (await adminOf(of).request("/state")).json()).map;
  const nothing = { applied: null, heardAt: null, ageMs: null, from: null, controlPlane: null, connected: false };
  assert.deepEqual(await map(fakeSources()), nothing);
  assert.deepEqual(await map({ ...fakeSources(), left: { position: "1.7" } }), { ...nothing, from: "files" });
  const saved = { ...fakeSources(), left: { position: "1.7" }, saved: { heardAt: Date.now() - 3_600_000 } };
  saved.reconciler.applied = position;
  const { from, ageMs } = await map(saved);
  assert.equal(from, "disk");
  assert.ok(ageMs >= 3_600_000);
  saved.following.heardAt = Date.now();
  const heard = await map(saved);
  assert.equal(heard.from, "control plane");
  assert.ok(heard.ageMs < 3_600_000);
});

Deno.test("nobody waits for old workers of a HAProxy that does not run", async () => {
  const never = () => new Promise<never>(() => {});
  const all = fakeSources();
  all.haproxy.oldWorkers = never;
  const admin = adminOf(all);
  assert.deepEqual((await (await admin.request("/state")).json()).haproxy.oldWorkers, []);
  assert.equal((await admin.request("/metrics")).status, 200);
});

Deno.test("GET /map shows the map that is held, and apart from it what is kept of an epoch before", async () => {
  const services = (...all: readonly ReturnType<typeof service>[]) => new Map(all.map((one) => [one.name, one]));
  const teams = service("teams", { instances: [instance("t1")] });
  const identity = service("identity", {});
  let snapshot: Snapshot | undefined;
  const admin = adminOf({ ...fakeSources(), snapshot: () => snapshot });
  const map = async () => await (await admin.request("/map")).json();
  assert.deepEqual(await map(), { position: null, services: [], kept: [] });
  snapshot = { position, services: services(teams, identity), changed: new Set() };
  const held = await map();
  assert.deepEqual(held.position, { epoch: "1", revision: String(2n ** 60n) });
  assert.deepEqual(held.services.map(({ name }: { name: string }) => name), ["identity", "teams"]);
  const { id, draining } = held.services[1].instances[0];
  assert.deepEqual([id, draining], ["t1", false], "defaults are written out");
  snapshot = { ...snapshot, apart: { map: services(identity), kept: services(teams) } };
  const apart = await map();
  assert.deepEqual([apart.services[0].name, apart.services.length, apart.kept[0].name], ["identity", 1, "teams"]);
});

Deno.test("GET /stats needs a HAProxy that answers", async () => {
  const failing = fakeSources();
  const stats = async () => {
    const answer = await adminOf(failing).request("/stats");
    return [answer.status, (await answer.json()).detail];
  };
  assert.deepEqual(await stats(), [503, "Cannot ask HAProxy: it does not run"]);
  failing.haproxy.workerPid = 7;
  assert.deepEqual(await stats(), [503, "Cannot ask HAProxy: it hangs"]);
});

Deno.test("GET /metrics is Prometheus' text", async () => {
  const answer = await adminOf(fakeSources()).request("/metrics");
  assert.match(answer.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  assert.equal(new Exposition(await answer.text()).value("portolan_sidecar_connected"), 0);
});

Deno.test("a wrong path is answered with what there is, a wrong method with what may be", async () => {
  const admin = adminOf(fakeSources());
  const wrong = await admin.request("/status?x=1");
  assert.deepEqual([wrong.status, wrong.headers.get("content-type")], [404, "application/problem+json"]);
  assert.deepEqual(await wrong.json(), {
    type: "about:blank",
    title: "Not found",
    status: 404,
    detail: 'Cannot find "/status": expected /healthz, /readyz, /state, /map, /stats, /metrics',
    code: "NOT_FOUND",
  });
  for (const method of ["POST", "DELETE", "OPTIONS"]) {
    const refused = await admin.request("/state", { method });
    assert.deepEqual([refused.status, refused.headers.get("allow")], [405, "GET, HEAD"]);
    assert.equal((await refused.json()).detail, `Cannot ${method} /state: expected GET, HEAD`);
  }
  const head = await admin.request("/state", { method: "HEAD" });
  assert.deepEqual([head.status, await head.text()], [200, ""]);
  assert.equal(await (await admin.request("/healthz")).text(), "ok\n");
});

Deno.test("what fails in the sidecar is logged, not told", async () => {
  const said: unknown[] = [];
  const log = {
    info() {},
    warn() {},
    error: (_: string, fields?: { error?: unknown }) => void said.push(fields?.error),
  };
  const failure = new Error("a secret");
  const failing = { ...fakeSources(), log };
  failing.haproxy.workerPid = 7;
  failing.haproxy.oldWorkers = () => Promise.reject(failure);
  const answer = await adminOf(failing).request("/state");
  assert.deepEqual([answer.status, (await answer.json()).detail], [
    500,
    "The sidecar failed to answer: its log says why",
  ]);
  assert.deepEqual(said, [failure]);
});

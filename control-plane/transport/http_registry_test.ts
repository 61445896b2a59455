import assert from "node:assert/strict";
import { fieldsOf, testControlPlane, type TestPlane } from "./testing.ts";

const INSTANCE = { host: "127.0.0.1", port: 8080 };

/** Puts an instance of a service, on a host if one is named. */
const put = (plane: TestPlane, path: string, more: object = {}) =>
  plane.http("PUT", `/services/${path}`, { body: { ...INSTANCE, ...more } });

/** What the map says of an instance, as words. */
async function switches(plane: TestPlane, path: string): Promise<string> {
  const { json } = await plane.http("GET", `/services/${path}`);
  return [json.enabled ? "enabled" : "disabled", ...json.draining ? ["draining"] : []].join(" ");
}

Deno.test("PUT registers an instance, with a lease where it has a ttl, and says the revision", async () => {
  await using plane = await testControlPlane();
  const permanent = await put(plane, "a/instances/i1");
  assert.deepEqual(Object.keys(permanent.json), ["revision"]);
  assert.equal(permanent.headers.get("portolan-revision"), permanent.json.revision);
  assert.equal(permanent.headers.get("etag"), `"${permanent.json.revision}"`);
  const leased = await put(plane, "a/instances/i2", { ttl: "1.5s", zone: "z", hostId: "h", metadata: { k: "v" } });
  assert.deepEqual(Object.keys(leased.json), ["revision", "leaseId"]);
  const { json } = await plane.http("GET", "/services/a/instances/i2");
  assert.deepEqual([json.ttl, json.zone, json.hostId, json.metadata], ["1.500s", "z", "h", { k: "v" }]);
  assert.ok(!JSON.stringify(json).includes(leased.json.leaseId), "who knows a lease can renew it");
  const again = await put(plane, "a/instances/i2", { ttl: "1.5s", zone: "z", hostId: "h", metadata: { k: "v" } });
  assert.deepEqual(again.json, leased.json, "nothing changed");
});

Deno.test("POST :renew is a beat of the lease, 404 once it holds nothing", async () => {
  await using plane = await testControlPlane();
  const { leaseId } = (await put(plane, "a/instances/i1", { ttl: "15s" })).json;
  const renew = (body: object) => plane.http("POST", "/services/a/instances/i1:renew", { body });
  const beat = await renew({ leaseId });
  assert.deepEqual([beat.status, beat.json], [200, {
    leaseId,
    alive: true,
    epoch: String(plane.ports.reading.position().epoch),
  }]);
  assert.deepEqual(fieldsOf(await renew({})), ["leaseId"]);
  assert.deepEqual(fieldsOf(await renew({ leaseId, statuses: [{}] })), ["statuses"]);
  const badly = await plane.http("POST", "/services/A/instances/I:renew", { body: { leaseId } });
  assert.deepEqual(fieldsOf(badly), ["service", "id"]);
  assert.equal((await renew({ leaseId: "nobody" })).status, 404);
  const other = (await put(plane, "a/instances/i2", { ttl: "15s" })).json;
  const stolen = await renew({ leaseId: other.leaseId });
  assert.deepEqual([stolen.status, stolen.json.detail], [
    404,
    `Cannot renew lease "${other.leaseId}": it does not hold instance "i1"; register again`,
  ]);
  await plane.http("DELETE", "/services/a/instances/i1");
  const dead = await renew({ leaseId });
  assert.deepEqual([dead.status, dead.json.code], [404, "NOT_FOUND"]);
});

Deno.test("an instance, a service or a host is drained, disabled and enabled again", async () => {
  await using plane = await testControlPlane();
  const paths = ["a/instances/i1", "a/instances/i2", "b/instances/i1"];
  await put(plane, paths[0]!, { hostId: "h1" });
  await put(plane, paths[1]!, { hostId: "h2" });
  await put(plane, paths[2]!, { hostId: "h1" });
  const all = () => Promise.all(paths.map((path) => switches(plane, path)));
  const post = async (path: string) => {
    const { status, json, headers } = await plane.http("POST", path);
    assert.equal(status, 200, JSON.stringify(json));
    assert.equal(headers.get("portolan-revision"), json.revision);
    return json.revision;
  };
  await post("/services/a/instances/i1:drain");
  assert.deepEqual(await all(), ["enabled draining", "enabled", "enabled"]);
  await post("/services/a:drain");
  assert.deepEqual(await all(), ["enabled draining", "enabled draining", "enabled"]);
  await post("/services/a/instances/i1:enable");
  assert.deepEqual(await all(), ["enabled", "enabled draining", "enabled"], "what is switched on drains no more");
  await post("/hosts/h1:disable");
  assert.deepEqual(await all(), ["disabled", "enabled draining", "disabled"]);
  await post("/hosts/h1:enable");
  await post("/hosts/h2:enable");
  assert.deepEqual(await all(), ["enabled", "enabled", "enabled"]);
  await post("/hosts/h1:drain");
  assert.deepEqual(await all(), ["enabled draining", "enabled", "enabled draining"]);
  assert.equal(await post("/hosts/h1:drain"), await post("/hosts/h1:drain"), "nothing more to do");
  await put(plane, paths[0]!, { hostId: "h1" });
  assert.equal(await switches(plane, paths[0]!), "enabled", "who registers again does not leave");
  await post("/services/b:disable");
  assert.equal((await plane.http("GET", "/services/b")).json.enabled, false);
  assert.equal(await switches(plane, paths[2]!), "enabled draining", "a service has a switch of its own");
  await post("/services/b:enable");
  assert.equal((await plane.http("GET", "/services/b")).json.enabled, true);
  for (const nobody of ["/hosts/h9:drain", "/services/c:drain", "/services/a/instances/i9:drain"]) {
    assert.equal((await plane.http("POST", nobody)).status, 404);
  }
});

const SPEC = {
  protocol: "H2C",
  check: { kind: "HTTP", path: "/up?x=1", interval: "1.500s", rise: 1, fall: 9 },
  policy: {
    timeoutMs: 1,
    perTryMs: 2,
    minTryMs: 3,
    maxAttempts: 4,
    maxTransparent: 5,
    baseMs: 6,
    maxMs: 7,
    multPermille: 1_008,
    statuses: { codes: [429, 503] },
    jitterPermille: 9,
    maxRetryAfterMs: 10,
    maxReplayBytes: 11,
    budget: { ratioPermille: 12, minPerSec: 13, burst: 14 },
    panicPercent: 15,
  },
  balancer: "RING_HASH",
  limits: { maxConnections: 16, maxQueue: 17 },
  localPort: 18,
};

Deno.test("PUT replaces a service's own fields, each of which reads as it was said", async () => {
  await using plane = await testControlPlane();
  const service = async () => (await plane.http("GET", "/services/a")).json;
  const { status, json, headers } = await plane.http("PUT", "/services/a", { body: SPEC });
  assert.deepEqual([status, headers.get("etag")], [200, `"${json.revision}"`]);
  const { spec, enabled, instances, specModified } = await service();
  assert.deepEqual(spec, SPEC);
  assert.deepEqual([enabled, instances, specModified], [true, [], json.revision]);
  const again = await plane.http("PUT", "/services/a", { body: SPEC });
  assert.equal(again.json.revision, json.revision);
  await plane.http("POST", "/services/a:disable");
  await plane.http("PUT", "/services/a", { body: {} });
  const plain = await service();
  assert.deepEqual([plain.spec, plain.enabled], [undefined, false], "all default, its switch as it was");
  // Words that mean the default are the default.
  const { revision } = (await plane.http("PUT", "/services/a", { body: { protocol: "HTTP1", balancer: "P2C" } })).json;
  assert.equal(revision, plain.specModified);
});

Deno.test("DELETE removes instances, aliases and services, a service in use by force only", async () => {
  await using plane = await testControlPlane();
  await put(plane, "a/instances/i1");
  await plane.http("PUT", "/services/a/aliases/live", { body: { version: 1 } });
  const split = { split: [{ version: 1, share: 9_000 }, { version: 2, share: 1_000 }], stickyHeader: "x-user" };
  await plane.http("PUT", "/services/a/aliases/canary", { body: split });
  assert.deepEqual((await plane.http("GET", "/services/a/aliases/canary")).json.route, { version: 0, ...split });
  assert.equal((await plane.http("DELETE", "/services/a/aliases/live")).status, 200);
  assert.equal((await plane.http("GET", "/services/a/aliases/live")).status, 404);
  assert.equal((await plane.http("DELETE", "/services/a/aliases/live")).status, 404);
  const inUse = await plane.http("DELETE", "/services/a");
  assert.deepEqual([inUse.status, inUse.json.code], [409, "FAILED_PRECONDITION"]);
  assert.equal((await plane.http("DELETE", "/services/a?force=false")).status, 409);
  assert.deepEqual(fieldsOf(await plane.http("DELETE", "/services/a?force=yes")), ["force"]);
  assert.equal((await plane.http("DELETE", "/services/a?force=true")).status, 200);
  assert.equal((await plane.http("GET", "/services/a")).status, 404);
  await put(plane, "b/instances/i1");
  assert.equal((await plane.http("DELETE", "/services/b/instances/i1")).status, 200);
  assert.deepEqual((await plane.http("GET", "/services/b")).json.instances, [], "its service stays");
  assert.equal((await plane.http("DELETE", "/services/b")).status, 200);
  assert.equal((await plane.http("DELETE", "/services/b")).status, 404);
});

Deno.test("POST held:release lets go what the brake holds, and is done when there is nothing", async () => {
  await using plane = await testControlPlane();
  const nothing = await plane.http("POST", "/held:release");
  assert.deepEqual([nothing.status, nothing.json.released], [200, 0]);
  assert.equal(nothing.headers.get("portolan-revision"), nothing.json.revision);
  const leases = await Promise.all(
    ["i1", "i2", "i3"].map(async (id) => (await put(plane, `a/instances/${id}`, { ttl: "15s" })).json.leaseId),
  );
  await put(plane, "a/instances/kept");
  const at = { realm: "local", service: "a" } as never as { realm: never; service: never };
  const held = { kind: "hold", ...at, leases: new Set(leases), held: true } as const;
  await plane.ports.operations.execute({ identity: "expiry", reason: "" }, held as never);
  assert.equal((await plane.http("GET", "/services/a/instances/i1")).json.held, true);
  const released = await plane.http("POST", "/held:release", { headers: { "portolan-reason": "they are gone" } });
  assert.equal(released.json.released, 3);
  const { json } = await plane.http("GET", "/services/a");
  assert.deepEqual(json.instances.map(({ id }: { id: string }) => id), ["kept"]);
  assert.deepEqual(fieldsOf(await plane.http("POST", "/held:release", { headers: { "if-match": "*" } })), ["If-Match"]);
  const named = await plane.http("POST", "/held:release", { headers: { "portolan-operation-id": "once" } });
  assert.deepEqual(fieldsOf(named), ["operationId"]);
});

import assert from "node:assert/strict";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Check_Kind, ServiceSpec_Balancer, ServiceSpec_Protocol } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { refusalOf, testControlPlane, type TestPlane } from "./testing.ts";

const AT = { realm: "local", service: "a" };
const HOST = { realm: "local", hostId: "h1" };

const register = ({ registry }: TestPlane, id: string, hostId = "") =>
  registry.register({ ...AT, id, instance: { host: "::1", port: 1, hostId } });

/** A service of the map, as HTTP shows it. */
const service = async (plane: TestPlane, name = "a") => (await plane.http("GET", `/services/${name}`)).json;

/** Instances with their switches. */
const switches = async (plane: TestPlane) =>
  (await service(plane)).instances.map((one: { id: string; enabled: boolean; draining: boolean }) =>
    `${one.id}${one.enabled ? "" : " disabled"}${one.draining ? " draining" : ""}`
  );

Deno.test("Register, SetEnabled, Drain and Deregister do what they say, and answer with the revision", async () => {
  await using plane = await testControlPlane();
  const { registry } = plane;
  await register(plane, "i1", "h1");
  const { revision, leaseId } = await register(plane, "i2", "h2");
  assert.deepEqual([revision, leaseId], [plane.ports.reading.position().revision, ""]);
  await registry.drain({ ...AT, id: "i1" });
  assert.deepEqual(await switches(plane), ["i1 draining", "i2"]);
  await registry.drain(AT);
  assert.deepEqual(await switches(plane), ["i1 draining", "i2 draining"]);
  await registry.setEnabled({ ...AT, id: "i1", enabled: true });
  assert.deepEqual(await switches(plane), ["i1", "i2 draining"]);
  await registry.setEnabled({ ...HOST, enabled: false });
  assert.deepEqual(await switches(plane), ["i1 disabled", "i2 draining"]);
  await registry.setEnabled({ ...HOST, enabled: true });
  await registry.drain(HOST);
  assert.deepEqual(await switches(plane), ["i1 draining", "i2 draining"]);
  await registry.setEnabled({ ...AT, enabled: false });
  assert.equal((await service(plane)).enabled, false);
  const last = await registry.deregister({ ...AT, id: "i1" });
  assert.equal(last.revision, plane.ports.reading.position().revision);
  assert.deepEqual(await switches(plane), ["i2 draining"]);
});

Deno.test("PutService, PutAlias, DeleteAlias and DeleteService do what they say", async () => {
  await using plane = await testControlPlane();
  const { registry } = plane;
  await registry.putService({
    ...AT,
    spec: {
      protocol: ServiceSpec_Protocol.TLS,
      check: { kind: Check_Kind.GRPC, interval: durationFromMs(100) },
      balancer: ServiceSpec_Balancer.ROUND_ROBIN,
      policy: { timeoutMs: 5, statuses: {}, budget: {} },
      limits: { maxConnections: 1 },
      localPort: 5_432,
    },
  });
  assert.deepEqual((await service(plane)).spec, {
    protocol: "TLS",
    check: { kind: "GRPC", path: "", interval: "0.100s", rise: 2, fall: 3 },
    policy: { timeoutMs: 5, statuses: { codes: [] }, budget: { ratioPermille: 0, minPerSec: 0, burst: 0 } },
    balancer: "ROUND_ROBIN",
    limits: { maxConnections: 1, maxQueue: 0 },
    localPort: 5_432,
  });
  await registry.putService(AT);
  assert.equal((await service(plane)).spec, undefined);
  await registry.putAlias({ ...AT, alias: "live", route: { version: 3 } });
  assert.deepEqual((await service(plane)).aliases[0].route.version, 3);
  await registry.deleteAlias({ ...AT, alias: "live" });
  assert.deepEqual((await service(plane)).aliases, []);
  await register(plane, "i1");
  assert.equal((await refusalOf(registry.deleteService(AT))).code, "FAILED_PRECONDITION");
  await registry.deleteService({ ...AT, force: true });
  assert.equal((await plane.http("GET", "/services/a")).status, 404);
});

Deno.test("writes hold to the revision that is expected, and are done once under one name", async () => {
  await using plane = await testControlPlane();
  const { registry } = plane;
  const put = (options: object) => registry.putService({ ...AT, spec: { localPort: 1 }, options });
  const { revision } = await put({ expectedRevision: 0n });
  assert.equal((await refusalOf(put({ expectedRevision: 0n }))).code, "FAILED_PRECONDITION");
  const again = await registry.putService({ ...AT, options: { expectedRevision: revision, operationId: "op" } });
  assert.ok(again.revision > revision);
  assert.deepEqual(
    await registry.putService({ ...AT, options: { expectedRevision: revision, operationId: "op" } }),
    again,
  );
  const other = await refusalOf(registry.deleteService({ ...AT, options: { operationId: "op" } }));
  assert.deepEqual([other.code, other.fields], ["INVALID_ARGUMENT", ["operationId"]]);
});

Deno.test("writes that need something say NOT_FOUND where it is not", async () => {
  await using plane = await testControlPlane();
  const { registry } = plane;
  await register(plane, "i1");
  const nowhere = { realm: "local", service: "nowhere" };
  const calls: Promise<unknown>[] = [
    registry.deregister({ ...AT, id: "i9" }),
    registry.deregister({ ...nowhere, id: "i1" }),
    registry.setEnabled(nowhere),
    registry.setEnabled({ ...AT, id: "i9" }),
    registry.setEnabled({ realm: "local", hostId: "h9" }),
    registry.drain(nowhere),
    registry.drain({ ...AT, id: "i9" }),
    registry.drain({ realm: "local", hostId: "h9" }),
    registry.deleteService(nowhere),
    registry.deleteAlias({ ...AT, alias: "live" }),
    registry.deleteAlias({ ...nowhere, alias: "live" }),
  ];
  for (const call of calls) assert.equal((await refusalOf(call)).code, "NOT_FOUND");
  const { revision, released } = await registry.releaseHeld({ realm: "local" });
  assert.deepEqual([revision, released], [plane.ports.reading.position().revision, 0]);
});

import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Instance_Status, ServiceSchema, ServiceSpec_Protocol } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { changes } from "./changes.ts";

type Init = MessageInitShape<typeof ServiceSchema>;
const service = (init: Init) => create(ServiceSchema, { name: "identity", enabled: true, ...init });
const instance = { id: "a", host: "h", port: 1, version: 1, weight: 100, enabled: true, modified: 1n };
const said = (before: Init | undefined, after: Init | undefined) =>
  changes("identity", before && service(before), after && service(after)).map(({ what }) => what);

Deno.test("changes() of a service that comes, goes, and is switched", () => {
  assert.deepEqual(said(undefined, {}), ["added"]);
  assert.deepEqual(said({}, undefined), ["removed"]);
  assert.deepEqual(said(undefined, undefined), []);
  assert.deepEqual(said({}, { enabled: false }), ["disabled"]);
  assert.deepEqual(said({ enabled: false }, {}), ["enabled"]);
  assert.deepEqual(said(undefined, { enabled: false, instances: [instance] }), [
    "added",
    "disabled",
    "instance a added: h:1 v1 weight 100",
  ]);
});

Deno.test("changes() of instances", () => {
  const before = { instances: [instance] };
  const now = (more: object) => said(before, { instances: [{ ...instance, modified: 2n, ...more }] });
  assert.deepEqual(now({ port: 2, version: 2 }), ["instance a changed: h:1 v1 weight 100 → h:2 v2 weight 100"]);
  assert.deepEqual(now({ enabled: false, status: Instance_Status.FAILING }), [
    "instance a disabled",
    "instance a failing",
  ]);
  assert.deepEqual(now({ zone: "z" }), ["instance a registered again"]);
  assert.deepEqual(said(before, before), []);
  assert.deepEqual(said(before, { instances: [{ ...instance, id: "b", enabled: false }] }), [
    "instance a removed",
    "instance b added: h:1 v1 weight 100, disabled",
  ]);
});

Deno.test("changes() of what instances are beside their address", () => {
  const before = { instances: [instance] };
  const now = (more: object) => said(before, { instances: [{ ...instance, modified: 2n, ...more }] });
  assert.deepEqual(now({ draining: true, held: true }), [
    "instance a draining",
    "instance a held: its lease ran out with many others",
  ]);
  assert.deepEqual(said({ instances: [{ ...instance, draining: true, held: true }] }, before), [
    "instance a drains no more",
    "instance a held no more",
  ]);
  const ttl = { seconds: 15n, nanos: 0 };
  assert.deepEqual(now({ ttl }), ["instance a changed: h:1 v1 weight 100 → h:1 v1 weight 100 ttl 15s"]);
  const status = Instance_Status.PASSING;
  assert.deepEqual(said({}, { instances: [{ ...instance, ttl, draining: true, held: true, status }] }), [
    "instance a added: h:1 v1 weight 100 ttl 15s, draining, held, passing",
  ]);
});

Deno.test("changes() of a service's own fields", () => {
  const spec = { protocol: ServiceSpec_Protocol.H2C, policy: { timeoutMs: 500 }, localPort: 5432 };
  assert.deepEqual(said({}, { spec }), ["protocol H2C", "local port 5432", "policy timeoutMs=500"]);
  assert.deepEqual(said({ spec }, { spec: {} }), ["protocol HTTP1", "local port none", "policy default"]);
  assert.deepEqual(said({}, { spec: { protocol: ServiceSpec_Protocol.HTTP1, policy: {} } }), []);
});

Deno.test("changes() of aliases", () => {
  const live = (route: object) => ({ aliases: [{ name: "live", route }] });
  const split = { split: [{ version: 1, share: 9000 }, { version: 2, share: 1000 }], stickyHeader: "x-user" };
  assert.deepEqual(said({}, live({ version: 1 })), ["alias live leads to v1"]);
  assert.deepEqual(said(live({ version: 1 }), live(split)), [
    "alias live moved: v1 → v1=9000 v2=1000 (sticky by x-user)",
  ]);
  assert.deepEqual(said(live(split), {}), ["alias live removed"]);
});

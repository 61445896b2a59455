import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, DurationSchema } from "@bufbuild/protobuf/wkt";
import { isRefusal, type Refusal } from "../domain/refusal.ts";
import { Instance_Status } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import * as pb from "../../proto/gen/portolan/v1/registry_pb.ts";
import {
  beatOf,
  deleteAliasOrder,
  deleteServiceOrder,
  deregisterOrder,
  drainOrder,
  putAliasOrder,
  putServiceOrder,
  registerOrder,
  setEnabledOrder,
} from "./decode_registry.ts";

const AT = { realm: "local", service: "identity" };
const HOST = { realm: "local", hostId: "h1" };
const OPTIONS = { reason: "why", operationId: "op-1", expectedRevision: 7n };

interface Said {
  readonly id?: string;
  readonly instance?: MessageInitShape<typeof pb.InstanceSpecSchema>;
  readonly leaseId?: string;
  readonly options?: MessageInitShape<typeof pb.WriteOptionsSchema>;
}
const register = (said: Said = {}) =>
  registerOrder(create(pb.RegisterRequestSchema, { ...AT, id: "i1", instance: { host: "a", port: 80 }, ...said }));
const putAlias = (route?: MessageInitShape<typeof pb.PutAliasRequestSchema>["route"]) =>
  putAliasOrder(create(pb.PutAliasRequestSchema, { ...AT, alias: "live", ...(route && { route }) }));
const setEnabled = (said: MessageInitShape<typeof pb.SetEnabledRequestSchema>) =>
  setEnabledOrder(create(pb.SetEnabledRequestSchema, said));
const drain = (said: MessageInitShape<typeof pb.DrainRequestSchema>) => drainOrder(create(pb.DrainRequestSchema, said));

function command(order: object) {
  assert.ok(!isRefusal(order), (order as Refusal).message);
  return (order as { command: unknown }).command;
}

function fieldsOf(outcome: object): string[] {
  assert.ok(isRefusal(outcome));
  return outcome.violations.map(({ field }) => field);
}

Deno.test("a registration is what the request says, with the contract's defaults", () => {
  const instance = { id: "i1", host: "a", port: 80, version: 1, weight: 100, metadata: {} };
  assert.deepEqual(command(register()), { kind: "register", ...AT, instance });
  const said = { host: "::1", port: 1, version: 7, weight: 0, zone: "z", hostId: "h", metadata: { a: "b" } };
  assert.deepEqual(command(register({ instance: said })), { kind: "register", ...AT, instance: { id: "i1", ...said } });
  const leased = register({ instance: { ...said, ttl: durationFromMs(15_250) }, leaseId: "L" });
  assert.ok(!isRefusal(leased) && leased.lease === "L");
  assert.deepEqual(command(leased), { kind: "register", ...AT, instance: { id: "i1", ...said, ttl: 15_250 } });
});

Deno.test("orders of every kind carry names, reason, operation and condition", () => {
  const of = { ...AT, options: OPTIONS };
  const cases: [order: object, command: object][] = [
    [register({ options: OPTIONS }), command(register()) as object],
    [deregisterOrder(create(pb.DeregisterRequestSchema, { ...of, id: "i1" })), { kind: "deregister", id: "i1" }],
    [setEnabled({ ...of, enabled: true }), { kind: "set_enabled", enabled: true }],
    [setEnabled({ ...of, id: "i1" }), { kind: "set_enabled", id: "i1", enabled: false }],
    [drain({ ...of, id: "i1" }), { kind: "drain", id: "i1" }],
    [putServiceOrder(create(pb.PutServiceRequestSchema, of)), {
      kind: "put_service",
      spec: { protocol: "HTTP1", balancer: "P2C" },
    }],
    [deleteServiceOrder(create(pb.DeleteServiceRequestSchema, of)), { kind: "delete_service", force: false }],
    [deleteServiceOrder(create(pb.DeleteServiceRequestSchema, { ...of, force: true })), {
      kind: "delete_service",
      force: true,
    }],
    [putAliasOrder(create(pb.PutAliasRequestSchema, { ...of, alias: "live", route: { version: 3 } })), {
      kind: "put_alias",
      alias: "live",
      route: { kind: "version", version: 3 },
    }],
    [deleteAliasOrder(create(pb.DeleteAliasRequestSchema, { ...of, alias: "live" })), {
      kind: "delete_alias",
      alias: "live",
    }],
  ];
  for (const [order, expected] of cases) {
    const { reason, operationId, expected: outside, kind } = order as Record<string, unknown>;
    assert.deepEqual([kind, reason, operationId, outside], ["order", "why", "op-1", undefined]);
    assert.deepEqual(command(order), { ...AT, ...expected, expected: 7n });
  }
});

Deno.test("switches and drains are of an instance, a service or a host, not of two of them", () => {
  assert.deepEqual(command(drain(AT)), { kind: "drain", ...AT });
  const options = { reason: "why", operationId: "op-1" };
  const host = { kind: "host", ...HOST, reason: "why", operationId: "op-1" };
  assert.deepEqual(setEnabled({ ...HOST, enabled: true, options }), {
    ...host,
    command: { kind: "set_enabled", enabled: true },
  });
  assert.deepEqual(drain({ ...HOST, options }), { ...host, command: { kind: "drain" } });
  for (const order of [setEnabled, drain]) {
    assert.deepEqual(fieldsOf(order({ ...AT, hostId: "h1" })), ["hostId"]);
    assert.deepEqual(fieldsOf(order({ ...AT, id: "i1", hostId: "h1" })), ["hostId"]);
    assert.deepEqual(fieldsOf(order({ realm: "local", id: "i1", hostId: "h1" })), ["hostId", "service"]);
    assert.deepEqual(fieldsOf(order({ realm: "local", hostId: "H" })), ["hostId"]);
    assert.deepEqual(fieldsOf(order({ ...HOST, options: OPTIONS })), ["expectedRevision"]);
    assert.deepEqual(fieldsOf(order({ realm: "local" })), ["service"]);
  }
  // All of a service is no one resource, its own switch is.
  assert.deepEqual(fieldsOf(drain({ ...AT, options: OPTIONS })), ["expectedRevision"]);
});

Deno.test("an alias leads to a version or to shares, in ascending order of versions", () => {
  const alias = { kind: "put_alias", ...AT, alias: "live" };
  assert.deepEqual(command(putAlias({ version: 3 })), { ...alias, route: { kind: "version", version: 3 } });
  const split = [{ version: 2, share: 1 }, { version: 1, share: 9_999 }];
  assert.deepEqual(command(putAlias({ split, stickyHeader: "x-user" })), {
    ...alias,
    route: { kind: "split", shares: [...split].reverse(), stickyHeader: "x-user" },
  });
});

Deno.test("orders are refused with all fields that are wrong", () => {
  const bad = { host: "A", port: 70_000, version: 0, weight: 257, ttl: {} };
  const cases: [outcome: object, ...fields: string[]][] = [
    [registerOrder(create(pb.RegisterRequestSchema)), "realm", "service", "id", "instance", "host", "port"],
    [register({ id: "I", instance: bad }), "id", "host", "port", "version", "weight", "ttl"],
    [register({ instance: { host: "a", port: 1, metadata: { "": "v" } } }), "metadata"],
    [register({ leaseId: "L" }), "ttl"],
    [register({ leaseId: "é", instance: { host: "a", port: 1, ttl: durationFromMs(1_000) } }), "leaseId"],
    [deregisterOrder(create(pb.DeregisterRequestSchema, AT)), "id"],
    [deleteServiceOrder(create(pb.DeleteServiceRequestSchema, { realm: "L" })), "realm", "service"],
    [deleteAliasOrder(create(pb.DeleteAliasRequestSchema, AT)), "alias"],
    [putAlias(), "version"],
    [putAlias({ version: 1, split: [{ version: 1 }] }), "version"],
    [putAlias({ version: 1, stickyHeader: "x" }), "stickyHeader"],
    [putAlias({ split: [{ version: 0 }, { version: 1, share: 10_000 }], stickyHeader: "X" }), "split[0].version"]
      .concat("stickyHeader") as [object],
    [putAlias({ split: [{ version: 2, share: 9_999 }, { version: 1 }] }), "split"],
    [putAliasOrder(create(pb.PutAliasRequestSchema, { ...AT, alias: "v1", route: { version: 1 } })), "alias"],
  ];
  for (const [outcome, ...fields] of cases) assert.deepEqual(fieldsOf(outcome), fields);
});

Deno.test("a ttl is 1 s to 24 h in whole ms", () => {
  const ttl = (seconds: bigint, nanos = 0) =>
    register({ instance: { host: "a", port: 1, ttl: create(DurationSchema, { seconds, nanos }) } });
  for (const good of [ttl(1n), ttl(1n, 1_000_000), ttl(86_400n)]) assert.ok(!isRefusal(good));
  const most = 2n ** 63n - 1n;
  for (const bad of [ttl(0n), ttl(0n, 999_000_000), ttl(1n, 1), ttl(86_400n, 1_000_000), ttl(-1n), ttl(most)]) {
    assert.deepEqual(fieldsOf(bad), ["ttl"]);
  }
});

Deno.test("metadata is bounded in bytes, and whatever its keys are called", () => {
  const registered = (metadata: Record<string, string>) => register({ instance: { host: "a", port: 1, metadata } });
  assert.ok(!isRefusal(registered({ k: "é".repeat(2_047) })));
  const large = registered({ kk: "é".repeat(2_048) });
  assert.ok(isRefusal(large) && large.code === "too_large");
  assert.deepEqual(fieldsOf(large), ["metadata"]);
  for (const key of ["$unknown", "$typeName", "constructor", "case", "length"]) {
    assert.ok(!isRefusal(registered({ [key]: "v" })), key);
  }
  const message = create(pb.RegisterRequestSchema, { ...AT, id: "i", instance: { host: "a", port: 1 } });
  Object.defineProperty(message.instance!.metadata, "__proto__", { value: "v", enumerable: true });
  assert.deepEqual(fieldsOf(registerOrder(message)), ["metadata.__proto__"]);
});

Deno.test("a beat's statuses are reports by service, the last word on an instance counting", () => {
  const { PASSING, FAILING, STATUS_UNSPECIFIED } = Instance_Status;
  const beat = (statuses: MessageInitShape<typeof pb.RenewRequestSchema>["statuses"] = [], leaseId = "L") =>
    beatOf(create(pb.RenewRequestSchema, { leaseId, statuses }));
  assert.deepEqual(beat(), { lease: "L", reports: [] });
  const read = beat([
    { ...AT, id: "i1", status: PASSING },
    { ...AT, service: "other", id: "i1", status: FAILING },
    { ...AT, id: "i2", status: PASSING },
    { ...AT, id: "i1", status: FAILING },
  ]);
  assert.ok(!isRefusal(read));
  assert.deepEqual(read.reports, [
    { kind: "report", ...AT, lease: "L", statuses: new Map([["i1", "failing"], ["i2", "passing"]]) },
    { kind: "report", ...AT, service: "other", lease: "L", statuses: new Map([["i1", "failing"]]) },
  ]);
  assert.deepEqual(fieldsOf(beat([], "")), ["leaseId"]);
  assert.deepEqual(fieldsOf(beat([], "a/b")), ["leaseId"]);
  assert.deepEqual(
    fieldsOf(beat([{ ...AT, id: "i", status: PASSING }, { realm: "L", service: "", id: ".", status: 9 as never }])),
    ["statuses[1].realm", "statuses[1].service", "statuses[1].id", "statuses[1].status"],
  );
  assert.deepEqual(fieldsOf(beat([{ ...AT, id: "i", status: STATUS_UNSPECIFIED }])), ["statuses[0].status"]);
});

import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Invalid } from "../domain/names.ts";
import { isRefusal, type Refusal } from "../domain/refusal.ts";
import { ScopeSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { GetMapRequestSchema } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import {
  DeregisterRequestSchema,
  type InstanceSpecSchema,
  PutAliasRequestSchema,
  RegisterRequestSchema,
  SetEnabledRequestSchema,
  type WriteOptionsSchema,
} from "../../proto/gen/portolan/v1/registry_pb.ts";
import {
  deregisterOrder,
  formatPosition,
  parsePosition,
  positionOf,
  putAliasOrder,
  refuseUnknown,
  registerOrder,
  scopeOf,
  setEnabledOrder,
} from "./decode.ts";

const AT = { realm: "local", service: "identity" };

interface Said {
  readonly id?: string;
  readonly instance?: MessageInitShape<typeof InstanceSpecSchema>;
  readonly options?: MessageInitShape<typeof WriteOptionsSchema>;
}
const register = ({ id = "i1", instance = { host: "a", port: 80 }, options = {} }: Said = {}) =>
  registerOrder(create(RegisterRequestSchema, { ...AT, id, instance, options }));
const putAlias = (route?: NonNullable<MessageInitShape<typeof PutAliasRequestSchema>["route"]>) =>
  putAliasOrder(create(PutAliasRequestSchema, { ...AT, alias: "live", ...(route && { route }) }));

function command(order: object) {
  assert.ok(!isRefusal(order), (order as Refusal).message);
  return (order as { command: unknown }).command;
}

function fieldsOf(outcome: object): string[] {
  assert.ok(isRefusal(outcome));
  return outcome.violations.map(({ field }) => field);
}

Deno.test("orders are what requests say, with the contract's defaults", () => {
  const instance = { id: "i1", host: "a", port: 80, version: 1, weight: 100, metadata: {} };
  assert.deepEqual(command(register()), { kind: "register", ...AT, instance });
  const said = { host: "::1", port: 1, version: 7, weight: 0, zone: "z", hostId: "h", metadata: { a: "b" } };
  assert.deepEqual(command(register({ instance: said })), { kind: "register", ...AT, instance: { id: "i1", ...said } });

  const one = create(DeregisterRequestSchema, { ...AT, id: "i1" });
  assert.deepEqual(command(deregisterOrder(one)), { kind: "deregister", ...AT, id: "i1" });
  const all = create(SetEnabledRequestSchema, { ...AT, enabled: true });
  assert.deepEqual(command(setEnabledOrder(all)), { kind: "set_enabled", ...AT, enabled: true });
  const off = create(SetEnabledRequestSchema, { ...AT, id: "i1" });
  assert.deepEqual(command(setEnabledOrder(off)), { kind: "set_enabled", ...AT, id: "i1", enabled: false });

  const alias = { kind: "put_alias", ...AT, alias: "live" };
  assert.deepEqual(command(putAlias({ version: 3 })), { ...alias, route: { kind: "version", version: 3 } });
  const split = [{ version: 2, share: 1 }, { version: 1, share: 9_999 }];
  assert.deepEqual(command(putAlias({ split, stickyHeader: "x-user" })), {
    ...alias,
    route: { kind: "split", shares: [...split].reverse(), stickyHeader: "x-user" },
  });
});

Deno.test("orders carry the reason, of 1024 bytes at most", () => {
  const options = { reason: "é".repeat(512) };
  const order = register({ options });
  assert.ok(!isRefusal(order) && order.reason === options.reason);
  assert.deepEqual(fieldsOf(register({ options: { reason: `${options.reason}!` } })), ["reason"]);
});

Deno.test("orders are refused with all fields that are wrong", () => {
  const cases: [outcome: object, ...fields: string[]][] = [
    [registerOrder(create(RegisterRequestSchema)), "realm", "service", "id", "instance", "host", "port"],
    [register({ id: "I", instance: { host: "A", port: 70_000, version: 0, weight: 257, ttl: {} } }), "id", "ttl"]
      .concat("host", "port", "version", "weight") as [object],
    [register({ instance: { host: "a", port: 1, metadata: { "": "v" } } }), "metadata"],
    [deregisterOrder(create(DeregisterRequestSchema, AT)), "id"],
    [putAlias(), "version"],
    [putAlias({ version: 1, split: [{ version: 1 }] }), "version"],
    [putAlias({ version: 1, stickyHeader: "x" }), "stickyHeader"],
    [putAlias({ split: [{ version: 0 }, { version: 1, share: 10_000 }], stickyHeader: "X" }), "split[0].version"]
      .concat("stickyHeader") as [object],
    [putAlias({ split: [{ version: 2, share: 9_999 }, { version: 1 }] }), "split"],
    [putAliasOrder(create(PutAliasRequestSchema, { ...AT, alias: "v1", route: { version: 1 } })), "alias"],
  ];
  for (const [outcome, ...fields] of cases) assert.deepEqual(fieldsOf(outcome), fields);
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
  const message = create(RegisterRequestSchema, { ...AT, id: "i", instance: { host: "a", port: 1 } });
  Object.defineProperty(message.instance!.metadata, "__proto__", { value: "v", enumerable: true });
  assert.deepEqual(fieldsOf(registerOrder(message)), ["metadata.__proto__"]);
});

Deno.test("refuseUnknown() names what it does not know by its number", () => {
  const $unknown = [{ no: 9, wireType: 0, data: new Uint8Array() }];
  const request = create(GetMapRequestSchema, { scope: { realm: "local" } });
  assert.equal(refuseUnknown(request), undefined);
  Object.assign(request.scope!, { $unknown });
  assert.deepEqual(fieldsOf(refuseUnknown(request)!), ["scope.9"]);
});

Deno.test("scopeOf() takes no services for all of them", () => {
  assert.deepEqual(scopeOf(create(ScopeSchema, { realm: "local" })), { realm: "local" });
  const services = ["a", "b", "a"];
  assert.deepEqual(scopeOf(create(ScopeSchema, { realm: "local", services })), {
    realm: "local",
    services: new Set(["a", "b"]),
  });
  assert.deepEqual(fieldsOf(scopeOf(create(ScopeSchema, { realm: "L", services: ["a", ""] }))), [
    "realm",
    "services[1]",
  ]);
  assert.deepEqual(fieldsOf(scopeOf(undefined)), ["scope", "realm"]);
});

Deno.test("positions are read as they are written", () => {
  const current = positionOf({ $typeName: "portolan.v1.Position", epoch: 7n, revision: 9n });
  assert.ok(!isRefusal(current));
  const most = 2n ** 63n - 1n;
  for (
    const [text, epoch, revision] of [
      ["7.9", 7n, 9n],
      ["9", 7n, 9n],
      ["0", 7n, 0n],
      ["007.09", 7n, 9n],
      [`${most}.${most}`, most, most],
    ] as const
  ) {
    const parsed = parsePosition(text, current);
    assert.deepEqual(parsed, { epoch, revision });
    assert.deepEqual(parsePosition(formatPosition(parsed as typeof current), current), parsed);
  }
  for (const text of ["", ".", "1.", ".1", "-1", "1.2.3", "0.1", " 1", "1\n", "x", `${most + 1n}`, `1.${most + 1n}`]) {
    assert.ok(parsePosition(text, current) instanceof Invalid, text);
  }
});

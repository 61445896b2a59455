import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import assert from "node:assert/strict";
import * as names from "../domain/names.ts";
import { CHECK_RANGES } from "../../proto/limits.ts";
import { file_portolan_v1_cluster_map, PositionSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { file_portolan_v1_discovery } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { file_portolan_v1_fleet, FollowerStateSchema } from "../../proto/gen/portolan/v1/fleet_pb.ts";
import { file_portolan_v1_policy } from "../../proto/gen/portolan/v1/policy_pb.ts";
import { file_portolan_v1_registry, InstanceSpecSchema } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { ALWAYS_SET, FIELDS, GRPC_ONLY, LEFT_OUT, MESSAGES, REQUIRED, TIMEOUT_TEXT } from "./openapi_fields.ts";
import { MAX_WAIT_MS } from "./fleet.ts";
import { messageSchemas } from "./openapi_schema.ts";

const FILES = [
  file_portolan_v1_cluster_map,
  file_portolan_v1_discovery,
  file_portolan_v1_fleet,
  file_portolan_v1_policy,
  file_portolan_v1_registry,
];
const CONTRACT: readonly DescMessage[] = FILES.flatMap((file) => [...nestedTypes(file)])
  .filter((type) => type.kind === "message");

Deno.test("the tables name messages and fields that the contract has, each message by a name of its own", () => {
  const messages = new Set(CONTRACT.map(({ name }) => name));
  assert.equal(messages.size, CONTRACT.length);
  const keyOf = ({ parent, jsonName }: DescField) => `${parent.name}.${jsonName}`;
  const fields = new Set(CONTRACT.flatMap((message) => message.fields.map(keyOf)));
  for (const key of [...Object.keys(FIELDS), ...REQUIRED, ...ALWAYS_SET, ...LEFT_OUT, ...GRPC_ONLY]) {
    assert.ok(fields.has(key), key);
  }
  for (const name of Object.keys(MESSAGES)) assert.ok(messages.has(name), name);
});

Deno.test("the ranges are those of the names and numbers of the map", () => {
  const parsers = {
    "InstanceSpec.port": names.parsePort,
    "InstanceSpec.version": names.parseVersion,
    "InstanceSpec.weight": names.parseWeight,
    "ServiceSpec.localPort": names.parsePort,
    "Share.version": names.parseVersion,
  };
  for (const [field, parse] of Object.entries(parsers)) {
    const [least, most] = [Number(FIELDS[field]?.["minimum"]), Number(FIELDS[field]?.["maximum"])];
    const valid = [least - 1, least, most, most + 1].map((value) => !(parse(value) instanceof names.Invalid));
    assert.deepEqual(valid, [false, true, true, false], field);
  }
});

Deno.test("the patterns of durations are those of the ranges, in whole ms", () => {
  const inRange = (value: number, [least, most]: readonly [number, number]) => value >= least && value <= most;
  const ranges = {
    "InstanceSpec.ttl": (ms: number) => !(names.parseTtl(ms) instanceof names.Invalid),
    "Check.interval": (ms: number) => inRange(ms, CHECK_RANGES.intervalMs),
    "WaitForRevisionRequest.timeout": (ms: number) => inRange(ms, [0, MAX_WAIT_MS]),
  };
  for (const [field, good] of Object.entries(ranges)) {
    const { pattern } = FIELDS[field] ?? TIMEOUT_TEXT;
    const valid = new RegExp(String(pattern));
    for (let second = 0; second <= 100_000; second++) {
      for (const text of [`${second}s`, `${second}.001s`, `${second}.1s`, `${second}.99s`]) {
        assert.equal(valid.test(text), good(Math.round(parseFloat(text) * 1_000)), `${field}: ${text}`);
      }
    }
    for (const text of ["", "s", "1", "1m", "-1s", "+1s", ".5s", "1.s", "1.0001s", "1e2s", " 1s", "1s "]) {
      assert.ok(!valid.test(text), `${field}: ${text}`);
    }
  }
});

Deno.test("messageSchemas() is strict for requests and takes null for what is not required", () => {
  const { InstanceSpecInput: spec } = messageSchemas([InstanceSpecSchema], "request");
  assert.equal(spec?.["additionalProperties"], false);
  assert.deepEqual(spec["required"], ["host", "port"]);
  const { port, weight } = spec["properties"] as Record<string, unknown>;
  assert.deepEqual(port, { type: "integer", minimum: 1, maximum: 65_535 });
  assert.deepEqual(weight, { type: ["integer", "null"], minimum: 0, maximum: 256, default: 100 });
});

Deno.test("messageSchemas() lists what responses always have, and all that they hold", () => {
  const { FollowerState, Follower, ...more } = messageSchemas([FollowerStateSchema], "response");
  assert.deepEqual(FollowerState?.["required"], ["follower", "scope", "refused", "connected"]);
  assert.equal(FollowerState["additionalProperties"], undefined);
  const { kind } = Follower?.["properties"] as Record<string, unknown>;
  assert.deepEqual(kind, { type: "string", enum: ["SIDECAR", "SDK", "TOOL"] });
  assert.deepEqual(Object.keys(more).sort(), ["Position", "Refused", "Scope"]);
});

Deno.test("messageSchemas() has 64-bit numbers as texts, in requests as numbers too", () => {
  const text = { type: "string", pattern: "^[0-9]{1,19}$" };
  const of = (use: "request" | "response", name: string) =>
    (messageSchemas([PositionSchema], use)[name]?.["properties"] as Record<string, unknown>)["revision"];
  assert.deepEqual(of("response", "Position"), text);
  const number = { type: "integer", minimum: 0, maximum: Number.MAX_SAFE_INTEGER };
  assert.deepEqual(of("request", "PositionInput"), { anyOf: [{ anyOf: [text, number] }, { type: "null" }] });
});

import assert from "node:assert/strict";
import { toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { CHECK_RANGES, LIMIT_RANGE } from "../../proto/limits.ts";
import { MAX_VERSION } from "../../proto/names.ts";
import { ServiceSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { toService } from "../transport/messages.ts";
import { apply, type Change } from "./change.ts";
import { emptyMap, findService, type Instance, type Service } from "./cluster_map.ts";
import type { Revision } from "./names.ts";
import { ALL, MOST_SHARES, parseSplit } from "./route.ts";
import { BUDGET_RANGES, POLICY_RANGES, type ServiceSpec } from "./service_spec.ts";
import { metadataBytes, serviceBytes, textBytes } from "./size.ts";
import { anyMap, EPOCH, valid } from "./testing.ts";

Deno.test("textBytes() counts the bytes of UTF-8", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => {
    assert.equal(textBytes(text), new TextEncoder().encode(text).length);
  }));
  assert.equal(metadataBytes({ ü: "漢", "": "🙂" }), 2 + 3 + 4);
});

Deno.test("the bytes of a service bound its encoding from above", () => {
  fc.assert(fc.property(anyMap, (map) => {
    for (const [, { services }] of map.realms) for (const [, service] of services) assertBound(service);
  }));
});

Deno.test("the bytes of a service bound its encoding where everything is as large as it may be", () => {
  const most = (ranges: Record<string, readonly [number, number]>) =>
    Object.fromEntries(Object.entries(ranges).map(([name, [, most]]) => [name, most]));
  const spec = {
    protocol: "TLS",
    check: { kind: "HTTP", path: "/".repeat(1_024), ...most(CHECK_RANGES) },
    policy: {
      ...most(POLICY_RANGES),
      statuses: Array.from({ length: 500 }, (_, i) => 100 + i),
      budget: most(BUDGET_RANGES),
    },
    balancer: "RING_HASH",
    limits: { maxConnections: LIMIT_RANGE[1], maxQueue: LIMIT_RANGE[1] },
    localPort: 65_535,
  } as unknown as ServiceSpec;
  const name = (i: number) => `${i}${"n".repeat(63 - `${i}`.length)}`;
  const instance = (i: number) => ({
    id: name(i),
    host: "h".repeat(253),
    port: 65_535,
    version: MAX_VERSION,
    weight: 256,
    zone: name(0),
    hostId: name(0),
    // Short ones cost the most for what they say.
    metadata: [
      {},
      { k: "漢".repeat(1_300) },
      Object.fromEntries(Array.from({ length: 999 }, (_, k) => [k, ""])),
    ][i % 3],
    ttl: 86_399_999,
    lease: "l".repeat(64),
    enabled: true,
    draining: true,
    status: "unknown",
    held: true,
  } as unknown as Omit<Instance, "modified">);
  const split = valid(parseSplit(
    Array.from({ length: MOST_SHARES }, (_, i) => ({ version: MAX_VERSION - i, share: ALL / MOST_SHARES })) as never,
    "x".repeat(60) as never,
  ));
  const changes = [
    { kind: "put_service", enabled: true, spec },
    ...Array.from({ length: 12 }, (_, i) => ({ kind: "put_instance", instance: instance(i) })),
    { kind: "put_alias", alias: { name: name(0), route: split } },
    { kind: "put_alias", alias: { name: name(1), route: { kind: "version", version: MAX_VERSION } } },
  ];
  let [bytes, bound] = [0, 0];
  for (let parts = 0; parts <= changes.length; parts++) {
    const all = [{ kind: "touch_service" }, ...changes.slice(0, parts)];
    const named = all.map((change) => ({ realm: "r", service: name(0), ...change }) as unknown as Change);
    const map = apply(emptyMap(EPOCH), (2n ** 63n - 1n) as Revision, named);
    const service = findService(map, "r" as never, name(0) as never)!;
    // No part borrows from another's bound.
    assert.ok(encoded(service) - bytes <= service.bytes - bound, `${encoded(service) - bytes} bytes, part ${parts}`);
    [bytes, bound] = [encoded(service), service.bytes];
    // Far above it, services would be refused for nothing.
    assert.ok(bound < 2 * bytes + 10_000, `${parts} parts`);
  }
});

function assertBound(service: Service): void {
  assert.equal(serviceBytes(service), service.bytes, "as it was added up on the way");
  const bytes = encoded(service);
  assert.ok(bytes <= service.bytes, `${service.name}: ${bytes} bytes, said to be at most ${service.bytes}`);
}

function encoded(service: Service): number {
  return toBinary(ServiceSchema, toService(service)).length;
}

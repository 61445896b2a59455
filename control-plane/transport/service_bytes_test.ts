import assert from "node:assert/strict";
import { toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { DEFAULT_SPEC } from "../domain/service_spec.ts";
import type { Service } from "../domain/cluster_map.ts";
import { ServiceSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { toService } from "./messages.ts";
import { serviceBytes } from "./service_bytes.ts";

const text = fc.string({ maxLength: 300, unit: "grapheme" });
const revision = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n });

const instance = fc.record({
  id: text,
  modified: revision,
  host: text,
  port: fc.nat(65_535),
  version: fc.nat(0xffff_ffff),
  weight: fc.nat(256),
  enabled: fc.boolean(),
  draining: fc.boolean(),
  status: fc.constantFrom("passing", "failing", "unknown"),
  held: fc.boolean(),
  zone: text,
  hostId: text,
  metadata: fc.dictionary(text.filter((key) => key !== "__proto__"), text, { maxKeys: 3, noNullPrototype: true }),
  ttl: fc.integer({ min: 1_000, max: 86_400_000 }),
}, {
  requiredKeys: [
    "id",
    "modified",
    "host",
    "port",
    "version",
    "weight",
    "enabled",
    "draining",
    "status",
    "held",
    "metadata",
  ],
});

const service = fc.record({
  name: text,
  modified: revision,
  specModified: revision,
  enabled: fc.boolean(),
  spec: fc.constantFrom(DEFAULT_SPEC, {
    protocol: "H2C",
    balancer: "P2C",
    check: { kind: "TCP", intervalMs: 1_500, rise: 1, fall: 2 },
  }),
  instances: fc.array(instance, { maxLength: 3 }),
  aliases: fc.array(
    fc.record({ name: text, modified: revision, route: fc.constant({ kind: "version", version: 7 }) }),
    { maxLength: 2 },
  ),
});

Deno.test("serviceBytes() writes what protobuf-es writes", () => {
  fc.assert(fc.property(service, (any) => {
    const service = any as unknown as Service;
    assert.deepEqual(serviceBytes(service), toBinary(ServiceSchema, toService(service)));
  }));
});

import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { isRefusal } from "../domain/refusal.ts";
import { DEFAULT_SPEC } from "../domain/service_spec.ts";
import { Instance_Status, ServiceSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { importedService } from "./decode_import.ts";

const INSTANCE = { id: "i1", host: "a", port: 80, version: 1, weight: 100, enabled: true };

const imported = (said: MessageInitShape<typeof ServiceSchema>) =>
  importedService(create(ServiceSchema, { name: "a", ...said }), "services[3]");

function fieldsOf(outcome: object): string[] {
  assert.ok(isRefusal(outcome));
  return outcome.violations.map(({ field }) => field);
}

Deno.test("importedService() takes over what a service is, not when it was changed and by whom it is held", () => {
  const ttl = durationFromMs(15_000);
  const read = imported({
    modified: 7n,
    specModified: 6n,
    enabled: false,
    instances: [{ ...INSTANCE, modified: 5n, draining: true, status: Instance_Status.FAILING, held: true, ttl }],
    aliases: [{ name: "live", modified: 4n, route: { version: 1 } }],
  });
  assert.deepEqual(read, {
    name: "a",
    enabled: false,
    spec: DEFAULT_SPEC,
    instances: [{ ...INSTANCE, metadata: {}, ttl: 15_000, draining: true, status: "failing", held: false }],
    aliases: [{ name: "live", route: { kind: "version", version: 1 } }],
  });
});

Deno.test("importedService() names what is wrong in which service", () => {
  const cases: [MessageInitShape<typeof ServiceSchema>, ...fields: string[]][] = [
    [{ name: "A" }, "name"],
    [{ spec: { localPort: 0 } }, "spec.localPort"],
    [{ instances: [INSTANCE, { ...INSTANCE, id: "I", host: "" }] }, "instances[1].id", "instances[1].host"],
    [{ instances: [{ ...INSTANCE, version: 0, weight: 257 }] }, "instances[0].version", "instances[0].weight"],
    [{ instances: [{ ...INSTANCE, status: 9 as never }] }, "instances[0].status"],
    [{ instances: [INSTANCE, INSTANCE] }, "instances[1].id"],
    [{ instances: [{ ...INSTANCE, metadata: { k: "v".repeat(4_096) } }] }, "instances[0].metadata"],
    [{ aliases: [{ name: "v1", route: {} }] }, "aliases[0].name", "aliases[0].route.version"],
    [{ aliases: [1, 2].map((version) => ({ name: "live", route: { version } })) }, "aliases[1].name"],
  ];
  for (const [said, ...fields] of cases) {
    assert.deepEqual(fieldsOf(imported(said)), fields.map((field) => `services[3].${field}`));
  }
  const later = create(ServiceSchema, { name: "a", instances: [INSTANCE] });
  Object.assign(later.instances[0]!, { $unknown: [{ no: 99, wireType: 0, data: new Uint8Array() }] });
  assert.deepEqual(fieldsOf(importedService(later, "services[0]")), ["services[0].instances[0].99"]);
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { apply, type Change } from "./change.ts";
import { type ClusterMap, emptyMap, findService, realmOf } from "./cluster_map.ts";
import type { Revision } from "./names.ts";
import { DEFAULT_SPEC, specBytes } from "./service_spec.ts";
import { aliasBytes, instanceBytes, SERVICE_BYTES } from "./size.ts";
import { anyEvent, contents, EPOCH, historyOf } from "./testing.ts";

const events = fc.array(anyEvent, { maxLength: 40, size: "max" });

Deno.test("apply() replayed from empty gives the live map", () => {
  fc.assert(fc.property(events, (list) => {
    const history = historyOf(list);
    let replayed = emptyMap(EPOCH);
    for (const { map, changes } of history.slice(1)) replayed = apply(replayed, map.position.revision, changes);
    assert.deepEqual(contents(replayed), contents(history.at(-1)!.map));
  }));
});

Deno.test("apply() twice of one commit equals once", () => {
  fc.assert(fc.property(events, (list) => {
    for (const { map, changes } of historyOf(list).slice(1)) {
      assert.deepEqual(contents(apply(map, map.position.revision, changes)), contents(map));
    }
  }));
});

Deno.test("apply() leaves earlier maps as they were", () => {
  fc.assert(fc.property(events, (list) => {
    const seen: [ClusterMap, unknown][] = [];
    let map = emptyMap(EPOCH);
    for (const step of historyOf(list).slice(1)) {
      seen.push([map, structuredClone(contents(map))]);
      map = apply(map, step.map.position.revision, step.changes);
    }
    for (const [before, copy] of seen) assert.deepEqual(contents(before), copy);
  }));
});

Deno.test("apply() is total: any changes, in any order, on any map", () => {
  fc.assert(fc.property(events, events, (list, others) => {
    const { map } = historyOf(list).at(-1)!;
    const foreign = historyOf(others).flatMap(({ changes }) => changes);
    apply(map, (map.position.revision + 1n) as Revision, foreign.toReversed());
  }));
});

Deno.test("apply() keeps instances and aliases sorted, unique, and counted in bytes", () => {
  fc.assert(fc.property(events, (list) => {
    for (const [, realm] of historyOf(list).at(-1)!.map.realms) {
      for (const [name, service] of realm.services) {
        const ids = service.instances.map(({ id }) => id);
        assert.deepEqual(ids, [...new Set(ids)].sort());
        const aliases = service.aliases.map((alias) => alias.name);
        assert.deepEqual(aliases, [...new Set(aliases)].sort());
        const parts = [...service.instances.map(instanceBytes), ...service.aliases.map(aliasBytes)];
        const own = SERVICE_BYTES + name.length + specBytes(service.spec);
        assert.equal(service.bytes, parts.reduce((sum, bytes) => sum + bytes, own));
      }
    }
  }));
});

Deno.test("apply() costs the same on a large map", () => {
  let map = emptyMap(EPOCH);
  const touch = (n: number): Change[] => [
    { kind: "put_service", realm: "r", service: `s${n}`, enabled: true, spec: DEFAULT_SPEC } as never,
  ];
  for (let n = 0; n < 5_000; n++) map = apply(map, BigInt(n + 1) as Revision, touch(n));
  const before = new Set(nodesOf(map));
  const added = nodesOf(apply(map, 5_001n as Revision, touch(77))).filter((node) => !before.has(node));
  assert.ok(added.length < 40, `${added.length} objects are new`);
  assert.equal(realmOf(map, "r" as never).services.size, 5_000);
  assert.equal(findService(map, "r" as never, "s77" as never)?.modified, 78n);
});

/** All objects that make up a value. */
function nodesOf(value: unknown, found: object[] = []): object[] {
  if (typeof value !== "object" || value === null) return found;
  found.push(value);
  for (const inner of Object.values(value)) nodesOf(inner, found);
  return found;
}

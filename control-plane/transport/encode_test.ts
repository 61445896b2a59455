import assert from "node:assert/strict";
import { fromBinary, fromJsonString, type MessageShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import { apply } from "../domain/change.ts";
import { emptyMap, type Position } from "../domain/cluster_map.ts";
import { decide } from "../domain/command.ts";
import type { Revision, ServiceName } from "../domain/names.ts";
import { anyEvent, EPOCH, historyOf } from "../domain/testing.ts";
import { collect, since, type Update } from "../domain/update.ts";
import { GetMapResponseSchema, PartSchema, WatchResponseSchema } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { encodeUpdate, serviceJson, updateJson } from "./encode.ts";

type Part = MessageShape<typeof PartSchema>;

const REALM = { realm: "local" as never };
const MOST = 1 << 20;

const partsOf = (update: Update): Part[] =>
  encodeUpdate(update, 7).map((bytes) => {
    const { part, subscription } = fromBinary(WatchResponseSchema, bytes);
    assert.equal(subscription, 7);
    return part!;
  });

/** A service of `size` bytes and more. */
function largeUpdate(services: number, size: number, names: number): Update {
  let map = emptyMap(EPOCH);
  for (let n = 0; n < services; n++) {
    for (let left = size, i = 0; left > 0; left -= 4_000, i++) {
      const metadata = { k: "é".repeat(Math.min(left, 4_000) / 2) };
      const instance = { id: `i${i}`, host: "127.0.0.1", port: 1, version: 1, weight: 0, metadata };
      const command = { kind: "register", ...REALM, service: `s${n}`, instance } as never;
      const decision = decide(map, command);
      assert.ok(decision.kind === "accept");
      map = apply(map, (map.position.revision + 1n) as Revision, decision.changes);
    }
  }
  const deleted = Array.from({ length: names }, (_, i) => `gone-${i}-${"x".repeat(50)}` as ServiceName);
  return { ...since(map, REALM), deleted };
}

/** All parts, as one: the same position in each, only the last one marked. */
function joined(parts: readonly Part[], { position, complete }: { position: Position; complete: boolean }) {
  for (const [i, part] of parts.entries()) {
    assert.deepEqual([part.position?.epoch, part.position?.revision], [position.epoch, position.revision]);
    assert.deepEqual([part.complete, part.last], [complete, i === parts.length - 1]);
  }
  return { set: parts.flatMap(({ set }) => set), deleted: parts.flatMap(({ deleted }) => deleted) };
}

Deno.test("parts of any update are the update, as bytes and as JSON", () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 20 }), fc.nat({ max: 20 }), (events, at) => {
      const history = historyOf(events);
      const { map } = history.at(-1)!;
      const before = history[Math.min(at, history.length - 1)]!.map;
      const owed = ["a", "b", "nowhere"] as ServiceName[];
      for (const update of [since(map, REALM), since(map, REALM, before.position), collect(map, REALM.realm, owed)]) {
        const { set, deleted } = joined(partsOf(update), update);
        assert.deepEqual(deleted, update.deleted);
        assert.deepEqual(set.map(({ name }) => name), update.set.map(({ name }) => name));
        const texts = updateJson(update).map((text) => fromJsonString(PartSchema, text));
        assert.deepEqual(joined(texts, update), { set, deleted });
      }
    }),
    { numRuns: 50 },
  );
});

Deno.test("a service on the wire is the service", () => {
  const instance = { id: "i", host: "::1", port: 2, version: 3, weight: 0, zone: "z", hostId: "h" };
  const leased = { ttl: 1_250, lease: "secret" };
  const spec = {
    protocol: "TCP",
    check: { kind: "HTTP", path: "/", intervalMs: 100, rise: 1, fall: 2 },
    policy: { timeoutMs: 5, statuses: [], budget: { ratioPermille: 0, minPerSec: 1, burst: 2 } },
    balancer: "RING_HASH",
    limits: { maxConnections: 1, maxQueue: 0 },
    localPort: 5_432,
  };
  const { map } = historyOf([
    { kind: "register", instance: { ...instance, ...leased, metadata: { k: "v" } } },
    { kind: "put_alias", alias: "live", route: { kind: "version", version: 3 } },
    { kind: "put_service", spec },
    { kind: "set_enabled", enabled: false },
    { kind: "drain", id: "i" },
  ].map((event) => ({ ...event, ...REALM, service: "a" }) as never)).at(-1)!;
  const [service] = since(map, REALM).set;
  const text = serviceJson(service!);
  assert.ok(!text.includes("secret"), "who knows a lease can renew it");
  assert.deepEqual(JSON.parse(text), {
    name: "a",
    modified: "5",
    specModified: "4",
    enabled: false,
    instances: [{
      ...instance,
      modified: "5",
      enabled: true,
      draining: true,
      status: "UNKNOWN",
      held: false,
      metadata: { k: "v" },
      ttl: "1.250s",
    }],
    aliases: [{ name: "live", modified: "2", route: { version: 3, split: [], stickyHeader: "" } }],
    spec: {
      protocol: "TCP",
      check: { kind: "HTTP", path: "/", interval: "0.100s", rise: 1, fall: 2 },
      policy: { timeoutMs: 5, statuses: { codes: [] }, budget: { ratioPermille: 0, minPerSec: 1, burst: 2 } },
      balancer: "RING_HASH",
      limits: { maxConnections: 1, maxQueue: 0 },
      localPort: 5_432,
    },
  });
});

Deno.test("parts hold whole services in 1 MiB at most, and none is empty", () => {
  for (const update of [largeUpdate(9, 300_000, 0), largeUpdate(3, 1_000_000, 0), largeUpdate(1, 600_000, 40_000)]) {
    const parts = partsOf(update);
    assert.ok(parts.length > 2);
    const { set, deleted } = joined(parts, update);
    assert.deepEqual(set.map(({ name }) => name), update.set.map(({ name }) => name));
    assert.deepEqual(deleted, update.deleted);
    for (const part of parts) assert.ok(part.set.length + part.deleted.length > 0);
    for (const bytes of encodeUpdate(update, 0)) assert.ok(bytes.length <= MOST + 64, `${bytes.length} bytes`);
    for (const text of updateJson(update)) {
      assert.ok(new TextEncoder().encode(text).length <= MOST + 256 || JSON.parse(text).set.length === 1);
    }
  }
});

Deno.test("an empty update is one part: a bookmark, or that there is nothing", () => {
  const position = { epoch: EPOCH, revision: 9n as Revision };
  for (const complete of [true, false]) {
    const parts = partsOf({ position, complete, set: [], deleted: [] });
    assert.equal(parts.length, 1);
    assert.deepEqual(joined(parts, { position, complete }), { set: [], deleted: [] });
  }
});

Deno.test("bytes are made once for all who get an update, for each number of a subscription", () => {
  const update = largeUpdate(2, 8_000, 1);
  const first = encodeUpdate(update, 1);
  for (const [i, bytes] of encodeUpdate(update, 1).entries()) assert.equal(bytes, first[i]);
  assert.notEqual(encodeUpdate(update, 2)[0], first[0]);
  assert.ok(Buffer.isBuffer(first[0]));
  // A read is no subscription: its bytes are a message without that field.
  const [read] = encodeUpdate(update, 0).map((bytes) => fromBinary(GetMapResponseSchema, bytes));
  assert.equal(read?.$unknown, undefined);
  assert.equal(serviceJson(update.set[0]!), serviceJson(update.set[0]!));
  // Clients choose the number: bytes are not kept for all that there are.
  for (let number = 3; number < 100; number++) encodeUpdate(update, number);
  assert.equal(encodeUpdate(update, 1)[0], first[0]);
  assert.notEqual(encodeUpdate(update, 99)[0], encodeUpdate(update, 99)[0]);
});

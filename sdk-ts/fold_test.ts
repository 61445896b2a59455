import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { ServiceSchema } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { PartSchema } from "../proto/gen/portolan/v1/discovery_pb.ts";
import { fold, type Held, type HeldAt, NOTHING } from "./fold.ts";

const service = (name: string, modified = 1n) => create(ServiceSchema, { name, modified });
const part = (epoch: bigint, revision: bigint, rest: { set?: string[]; deleted?: string[]; complete?: boolean } = {}) =>
  create(PartSchema, {
    position: { epoch, revision },
    complete: rest.complete ?? false,
    set: (rest.set ?? []).map((name) => service(name, revision)),
    deleted: rest.deleted ?? [],
  });

function held(from: Held, ...parts: ReturnType<typeof part>[]): { held: HeldAt; changed: string[] } {
  const folded = fold(from, parts);
  if (folded.kind === "refused") throw new Error(folded.reason);
  return { held: folded.held, changed: [...folded.changed].sort() };
}

function reason(from: Held, ...parts: ReturnType<typeof part>[]): string {
  const folded = fold(from, parts);
  return folded.kind === "refused" ? folded.reason : "not refused";
}

const START = held(NOTHING, part(1n, 5n, { set: ["a", "b"], complete: true })).held;

Deno.test("fold() replaces whole services, removes deleted ones and keeps the rest", () => {
  const next = held(START, part(1n, 7n, { set: ["b"] }), part(1n, 7n, { deleted: ["a"], set: ["c"] }));
  assert.deepEqual([...next.held.services.keys()], ["b", "c"]);
  assert.equal(next.held.services.get("b")?.modified, 7n);
  assert.deepEqual(next.changed, ["a", "b", "c"]);
  assert.deepEqual([...START.services.keys()], ["a", "b"], "what was held before is left alone");
});

Deno.test("fold() of a complete update starts from empty and says what was lost", () => {
  const next = held(START, part(1n, 9n, { set: ["b"], complete: true }), part(1n, 9n, { set: ["c"], complete: true }));
  assert.deepEqual([...next.held.services.keys()], ["b", "c"]);
  assert.deepEqual(next.changed, ["a", "b", "c"]);
});

Deno.test("fold() of a bookmark moves the position only", () => {
  const next = held(START, part(1n, 8n));
  assert.equal(next.held.position.revision, 8n);
  assert.equal(next.held.services, START.services);
  assert.deepEqual(next.changed, []);
});

Deno.test("fold() refuses to go back in history, complete or not", () => {
  assert.match(reason(START, part(1n, 4n)), /^position 1\.4 is before 1\.5/);
  assert.match(reason(START, part(0n, 99n, { complete: true })), /^position 0\.99 is before 1\.5/);
});

Deno.test("fold() takes a higher epoch only as a whole", () => {
  assert.match(reason(START, part(2n, 9n, { set: ["a"] })), /comes as a difference, and 1\.5 is held/);
  assert.match(reason(NOTHING, part(1n, 1n, { set: ["a"] })), /comes as a difference, and nothing is held/);
  assert.equal(held(START, part(2n, 1n, { complete: true })).held.position.epoch, 2n);
});

Deno.test("fold() refuses an update without a position", () => {
  assert.match(reason(START, create(PartSchema, {})), /without a position/);
});

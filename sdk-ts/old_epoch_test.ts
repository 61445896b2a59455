import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { Instance_Status, type Service, ServiceSchema } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { PartSchema } from "../proto/gen/portolan/v1/discovery_pb.ts";
import { fold, type Held, NOTHING } from "./fold.ts";
import { keep, KEEP_MS, type Kept, NOTHING_KEPT, routed } from "./old_epoch.ts";

const { PASSING, UNKNOWN } = Instance_Status;

/** What follows the map: what is held, and what is kept beside it. */
class Follower {
  held: Held = NOTHING;
  kept: Kept = NOTHING_KEPT;

  take(
    epoch: number,
    revision: number,
    complete: boolean,
    set: readonly Service[],
    deleted: readonly string[],
    now = 0,
  ) {
    const position = { epoch: BigInt(epoch), revision: BigInt(revision) };
    const part = create(PartSchema, { position, complete, last: true, set: [...set], deleted: [...deleted] });
    const folded = fold(this.held, [part]);
    assert.ok(folded.kind === "held");
    this.kept = keep(this.kept, { before: this.held, after: folded.held, changed: folded.changed }, now);
    this.held = folded.held;
  }

  /** `identity/i1 PASSING`, and so on, in order. */
  get routed(): readonly string[] {
    return [...routed(this.held.services, this.kept)].flatMap(([name, { instances }]) =>
      instances.map(({ id, status }) => `${name}/${id} ${Instance_Status[status]}`)
    );
  }
}

function service(name: string, ids: string, init: Partial<Pick<Service, "enabled" | "modified">> = {}): Service {
  const instances = ids.split(" ").filter(Boolean).map((id) => ({ id, status: PASSING }));
  return create(ServiceSchema, { name, enabled: true, ...init, instances });
}

Deno.test("keep() keeps what a new epoch lacks, as unknown, and in order", () => {
  const follower = new Follower();
  follower.take(1, 5, true, [service("identity", "i1 i2 i4"), service("teams", "t1"), service("bare", "")], []);
  follower.take(2, 1, true, [service("identity", "i3 i2", { enabled: false })], [], 1_000);
  assert.deepEqual(follower.routed, [
    "identity/i1 UNKNOWN",
    "identity/i2 PASSING",
    "identity/i3 PASSING",
    "identity/i4 UNKNOWN",
    "teams/t1 UNKNOWN",
  ]);
  assert.equal(follower.kept.until, 1_000 + KEEP_MS);
  assert.equal(routed(follower.held.services, follower.kept).get("identity")?.enabled, false, "the map is right");
  assert.equal(follower.held.services.get("identity")?.instances.length, 2, "what is held is the map");
});

Deno.test("keep() lets go what has come back, and what was deleted after it had", () => {
  const follower = new Follower();
  follower.take(1, 5, true, [service("identity", "i1 i2 i3"), service("teams", "t1"), service("orders", "o1 o2")], []);
  follower.take(2, 1, true, [], [], 1_000);
  follower.take(2, 2, false, [service("identity", "i1")], []);
  follower.take(2, 3, false, [service("orders", "o1")], []);
  assert.deepEqual(follower.routed, [
    "identity/i1 PASSING",
    "identity/i2 UNKNOWN",
    "identity/i3 UNKNOWN",
    "orders/o1 PASSING",
    "orders/o2 UNKNOWN",
    "teams/t1 UNKNOWN",
  ]);
  // The instance goes at once, and a service with all of it.
  follower.take(2, 4, false, [service("identity", "")], ["orders"]);
  assert.deepEqual(follower.routed, ["identity/i2 UNKNOWN", "identity/i3 UNKNOWN", "teams/t1 UNKNOWN"]);
  // What the map says not to exist, and never had in this epoch, may still be on its way.
  follower.take(2, 5, false, [], ["teams"]);
  assert.deepEqual(follower.routed.at(-1), "teams/t1 UNKNOWN");
  assert.equal(follower.kept.until, 1_000 + KEEP_MS, "nothing of it makes it longer");
});

Deno.test("keep() keeps through another epoch what the one before it kept", () => {
  const follower = new Follower();
  follower.take(1, 5, true, [service("identity", "i1 i2")], []);
  follower.take(2, 1, true, [service("identity", "i2")], [], 1_000);
  follower.take(3, 1, true, [], [], 2_000);
  assert.deepEqual(follower.routed, ["identity/i1 UNKNOWN", "identity/i2 UNKNOWN"]);
  assert.equal(follower.kept.until, 2_000 + KEEP_MS);
});

Deno.test("keep() keeps nothing at the first map, and nothing at a complete one of the same epoch", () => {
  const follower = new Follower();
  follower.take(2, 5, true, [service("identity", "i1")], []);
  assert.equal(follower.kept, NOTHING_KEPT);
  follower.take(2, 6, true, [service("teams", "t1")], []);
  assert.deepEqual(follower.routed, ["teams/t1 PASSING"]);
});

/** What becomes of one service: its instances from now on, or nothing of it. */
const change = fc.record({
  name: fc.constantFrom("a", "b", "c"),
  ids: fc.option(fc.subarray(["i1", "i2", "i3"]), { nil: undefined, freq: 3 }),
});
const step = fc.record({
  changes: fc.array(change, { maxLength: 3 }),
  epoch: fc.integer({ min: 0, max: 4 }).map((one) => one === 0),
  complete: fc.boolean(),
});

Deno.test("keep() routes the map, and beside it exactly what a model of single instances says", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
      const follower = new Follower();
      /** The map, and what is kept, as `service/instance`. */
      let map = new Map<string, readonly string[]>();
      let kept = new Set<string>();
      let epoch = 1;
      for (const [at, { changes, epoch: begins, complete }] of steps.entries()) {
        const before = map;
        map = new Map(begins && at > 0 ? [] : before);
        for (const { name, ids } of changes) ids ? map.set(name, ids) : map.delete(name);
        const whole = begins || complete || at === 0;
        if (begins && at > 0) {
          epoch++;
          for (const one of keysOf(before)) kept.add(one);
        } else for (const name of before.keys()) if (!map.has(name)) kept = reject(kept, (one) => one.startsWith(name));
        kept = reject(kept, (one) => keysOf(map).includes(one));

        const names = whole ? [...map.keys()] : changes.map(({ name }) => name).filter((name) => map.has(name));
        const gone = whole ? [] : changes.map(({ name }) => name).filter((name) => !map.has(name));
        follower.take(epoch, at + 1, whole, names.map((name) => service(name, (map.get(name) ?? []).join(" "))), gone);
        const expected = [
          ...keysOf(map).map((one) => `${one} ${Instance_Status[PASSING]}`),
          ...[...kept].map((one) => `${one} ${Instance_Status[UNKNOWN]}`),
        ];
        assert.deepEqual([...follower.routed].sort(), expected.sort());
        for (const { instances } of routed(follower.held.services, follower.kept).values()) {
          assert.deepEqual(instances.map(({ id }) => id), instances.map(({ id }) => id).sort());
        }
      }
    }),
    { numRuns: 1_000 },
  );
});

function keysOf(map: ReadonlyMap<string, readonly string[]>): readonly string[] {
  return [...map].flatMap(([name, ids]) => ids.map((id) => `${name}/${id}`));
}

function reject(all: ReadonlySet<string>, is: (one: string) => boolean): Set<string> {
  return new Set([...all].filter((one) => !is(one)));
}

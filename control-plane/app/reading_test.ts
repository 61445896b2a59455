import assert from "node:assert/strict";
import fc from "fast-check";
import type { ClusterMap, Position } from "../domain/cluster_map.ts";
import type { Epoch, Realm, Revision, ServiceName } from "../domain/names.ts";
import { anyCommand } from "../domain/testing.ts";
import { type Scope, since } from "../domain/update.ts";
import { openMemoryStore } from "../store/memory.ts";
import { forgetPast, HISTORY_MS } from "./retention.ts";
import { caller, command, done, LOCAL, overlaid, refusal, register, type TestPlane, testPlane } from "./testing.ts";

const local: Scope = { realm: LOCAL };
const revision = (number: bigint | number) => BigInt(number) as Revision;

Deno.test("read() waits for the revision it was asked to see, and says so when it does not come", async () => {
  await using plane = await testPlane();
  const next = revision(plane.hub.current().position.revision + 1n);
  const reading = plane.reading.read(caller, local, next);
  await plane.change(register("a"));
  assert.equal(done(await reading).position.revision, next);
  assert.equal(refusal(await plane.reading.read(caller, local, revision(next + 1n))).code, "unavailable");
});

Deno.test("readAt() shows the map as it was, by revision and by time, in any scope", async () => {
  const scope: fc.Arbitrary<Scope> = fc.record({
    realm: fc.constantFrom(LOCAL, "testing" as Realm),
    services: fc.option(fc.subarray(["a", "b", "nowhere"] as ServiceName[], { minLength: 1 }), { freq: 2 }),
  }).map(({ realm, services }) => services ? { realm, services: new Set(services) } : { realm });
  const steps = fc.array(fc.record({ command: anyCommand, ms: fc.integer({ min: 0, max: 2 }) }), { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(scope, steps, async (where, list) => {
      await using plane = await testPlane();
      const maps: { map: ClusterMap; time: number }[] = [{ map: plane.hub.current(), time: plane.clock.wallMs }];
      for (const { command, ms } of list) {
        plane.clock.pass(ms);
        await plane.operations.execute(caller, command);
        if (plane.hub.current() !== maps.at(-1)!.map) maps.push({ map: plane.hub.current(), time: plane.clock.wallMs });
      }
      const { epoch } = plane.hub.current().position;
      for (const { map } of maps) {
        const read = done(await plane.reading.readAt(where, { revision: map.position.revision }));
        assert.deepEqual(read, { ...since(map, where), position: { epoch, revision: map.position.revision } });
      }
      for (let time = maps[0]!.time; time <= plane.clock.wallMs; time++) {
        const { map } = maps.findLast((one) => one.time <= time)!;
        const read = done(await plane.reading.readAt(where, { time }));
        assert.deepEqual(read.set, since(map, where).set, `at ${time}`);
      }
      const before = done(await plane.reading.readAt(where, { time: maps[0]!.time - 1 }));
      assert.deepEqual(before.set, []);
    }),
    { numRuns: 40 },
  );
});

Deno.test("readAt() says what it cannot know: what is yet to come, and what is forgotten", async () => {
  const day = 86_400_000;
  await using plane = await testPlane();
  const start = plane.clock.wallMs;
  await plane.change(register("a", "first"));
  const newest = plane.hub.current().position.revision;
  const ahead = refusal(await plane.reading.readAt(local, { revision: revision(newest + 1n) }));
  assert.deepEqual([ahead.code, ahead.violations[0]?.field], ["invalid", "at"]);

  // A quiet fortnight, a change, and all that is older than a week is forgotten.
  plane.clock.pass(14 * day);
  await plane.change(register("a", "second"));
  await forgetPast(plane);
  assert.equal(plane.store.remembered(), newest);
  const ids = async (moment: Parameters<TestPlane["reading"]["readAt"]>[1]) =>
    done(await plane.reading.readAt(local, moment)).set.flatMap(({ instances }) => instances.map(({ id }) => id));
  assert.deepEqual(await ids({ time: plane.clock.wallMs }), ["first", "second"]);
  assert.deepEqual(await ids({ time: plane.clock.wallMs - 1 }), ["first"]);
  assert.deepEqual(
    await ids({ time: plane.clock.wallMs - HISTORY_MS }),
    ["first"],
    "a week ago it was as it is remembered",
  );
  assert.deepEqual(await ids({ time: start }), ["first"]);
  assert.deepEqual(await ids({ revision: newest }), ["first"]);
  for (const moment of [{ time: start - 1 }, { revision: revision(newest - 1n) }]) {
    const { code, message } = refusal(await plane.reading.readAt(local, moment));
    assert.equal(code, "forgotten");
    assert.match(message, /^Cannot read the map as of (2025-12-31T23:59:59.999Z|revision \d+): /);
  }
});

Deno.test("readAt() keeps to the order of commits where the wall clock jumps", async () => {
  await using plane = await testPlane();
  const before = plane.hub.current().position.revision;
  for (const hours of [0, 1, -2, 1]) {
    plane.clock.wallMs += hours * 3_600_000;
    await plane.change(register("a", `i${plane.hub.current().position.revision}`));
  }
  for (let hours = -3; hours <= 3; hours++) {
    const time = plane.clock.wallMs + hours * 3_600_000;
    const { position } = done(await plane.reading.readAt(local, { time }));
    assert.ok(position.revision >= before - 1n && position.revision <= plane.hub.current().position.revision);
  }
});

/** As a control plane sees it whose store was put back to what it was some changes ago. */
async function restored(): Promise<{ plane: TestPlane; lost: Position }> {
  const store = openMemoryStore();
  const plane = await testPlane({ store });
  await plane.change(register("a", "kept"));
  const { epoch, revision } = plane.hub.current().position;
  return { plane, lost: { epoch, revision: (revision + 5n) as Revision } };
}

Deno.test("settle() begins an epoch for a follower who is ahead of the store, once in its life", async () => {
  const { plane, lost } = await restored();
  await using _plane = plane;
  const { position } = plane.hub.current();
  assert.equal(await plane.reading.settle(position), undefined);
  assert.equal(await plane.reading.settle({ ...lost, epoch: (lost.epoch - 1n) as Epoch }), undefined);
  assert.deepEqual(plane.hub.current().position, position, "whoever is not ahead begins nothing");

  const settled = await Promise.all(Array.from({ length: 5 }, () => plane.reading.settle(lost)));
  assert.deepEqual(settled, Array(5).fill(undefined));
  const begun = plane.hub.current().position;
  assert.ok(begun.epoch > position.epoch);
  assert.equal(begun.revision, position.revision + 1n, "one for all of them");
  assert.equal(await plane.reading.settle(lost), undefined, "it is of an older epoch now");
  assert.equal(since(plane.hub.current(), local, lost).complete, true);

  const nowhere = refusal(await plane.reading.settle({ ...begun, revision: (begun.revision + 9n) as Revision }) ?? {});
  assert.deepEqual([nowhere.code, nowhere.violations.map(({ field }) => field)], ["invalid", ["after"]]);
  assert.deepEqual(plane.hub.current().position, begun);
});

Deno.test("settle() begins a higher epoch for a follower of one that the store does not know any more", async () => {
  const { plane, lost } = await restored();
  await using _plane = plane;
  // An import, say, had begun it; the copy of the store is older.
  const later = { epoch: (lost.epoch + 60_000n) as Epoch, revision: 1n as Revision };
  assert.equal(await plane.reading.settle(later), undefined);
  assert.ok(plane.hub.current().position.epoch > later.epoch, "followers refuse to go back");
  const never = { epoch: 2n ** 60n as Epoch, revision: 1n as Revision };
  const { position } = plane.hub.current();
  assert.equal(refusal(await plane.reading.settle(never) ?? {}).code, "invalid");
  assert.deepEqual(plane.hub.current().position, position);

  const fresh = await restored();
  await using _fresh = fresh.plane;
  assert.equal(refusal(await fresh.plane.reading.settle(never) ?? {}).code, "invalid", "nor as the first");
  assert.equal(await fresh.plane.reading.settle(fresh.lost), undefined, "which costs nobody else the one epoch");
  assert.ok(fresh.plane.hub.current().position.epoch > fresh.lost.epoch);
});

Deno.test("settle() tries again where no epoch could be begun", async () => {
  const memory = openMemoryStore();
  let full = false;
  const store = overlaid(memory, {
    commit: async (...how) => full ? { kind: "refused", reason: "the disk is full" } : await memory.commit(...how),
  });
  await using plane = await testPlane({ store });
  await plane.change(register("a"));
  const { epoch, revision } = plane.hub.current().position;
  const ahead = { epoch, revision: (revision + 1n) as Revision };
  full = true;
  const refused = await Promise.all([plane.reading.settle(ahead), plane.reading.settle(ahead)]);
  assert.deepEqual(refused.map((one) => refusal(one ?? {}).code), ["unavailable", "unavailable"]);
  full = false;
  assert.equal(await plane.reading.settle(ahead), undefined);
  assert.ok(plane.hub.current().position.epoch > epoch);
});

Deno.test("settle() waits for a map that is behind its store", async () => {
  const memory = openMemoryStore();
  const goesOn = Promise.withResolvers<void>();
  let slow = false;
  const store = overlaid(memory, {
    async *watch(...how) {
      for await (const batch of memory.watch(...how)) {
        if (slow) await goesOn.promise;
        yield batch;
      }
    },
  });
  await using plane = await testPlane({ store });
  await plane.change(register("a"));
  slow = true;
  const position = plane.hub.current().position;
  const changing = plane.change(command("drain", "a"));
  const ahead = { ...position, revision: (position.revision + 1n) as Revision };
  let isSettled = false;
  const settled = plane.reading.settle(ahead).finally(() => isSettled = true);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isSettled, false);
  goesOn.resolve();
  assert.equal(await settled, undefined);
  assert.deepEqual(plane.hub.current().position, ahead);
  await changing;
});

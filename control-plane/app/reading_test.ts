import assert from "node:assert/strict";
import fc from "fast-check";
import type { ClusterMap } from "../domain/cluster_map.ts";
import type { Realm, Revision, ServiceName } from "../domain/names.ts";
import { anyCommand } from "../domain/testing.ts";
import { type Scope, since } from "../domain/update.ts";
import { openMemoryStore } from "../store/memory.ts";
import { forgetPast, HISTORY_MS } from "./retention.ts";
import { caller, done, LOCAL, overlaid, refusal, register, type TestPlane, testPlane } from "./testing.ts";

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

Deno.test("readAt() reads the past once, however many services are in scope, and no longer than somebody waits", async () => {
  const memory = openMemoryStore();
  let reads = 0;
  const store = overlaid(memory, {
    read: (...how) => {
      reads++;
      return memory.read(...how);
    },
  });
  await using plane = await testPlane({ store });
  const { revision: at } = await plane.change(register("s1", "old"));
  await plane.change(register("s1", "new"));
  await plane.change(register("s2"));
  const scope = { realm: LOCAL, services: new Set(Array.from({ length: 5_000 }, (_, n) => `s${n}` as ServiceName)) };
  reads = 0;
  const { set } = done(await plane.reading.readAt(scope, { revision: at }));
  assert.deepEqual(set.map(({ name, instances }) => [name, instances.map(({ id }) => id)]), [["s1", ["old"]]]);
  assert.equal(reads, 1);
  // What is there now need not be read again.
  await plane.reading.readAt(scope, { revision: plane.reading.position().revision });
  assert.equal(reads, 1);
  for (const moment of [{ revision: at }, { time: plane.clock.wallMs }]) {
    const { code, message } = refusal(await plane.reading.readAt(scope, moment, AbortSignal.abort()));
    assert.deepEqual([code, /nobody waits for it/.test(message)], ["unavailable", true]);
  }
});

import assert from "node:assert/strict";
import { realmOf } from "../domain/cluster_map.ts";
import type { Realm, Revision, ServiceName } from "../domain/names.ts";
import { Folded } from "../domain/testing.ts";
import { servicesIn, since } from "../domain/update.ts";
import { openMemoryStore } from "../store/memory.ts";
import { Lost } from "../store/store.ts";
import { forgetDeletions, forgetPast, HISTORY_MS, startRetention } from "./retention.ts";
import {
  caller,
  command,
  interruptible,
  LOCAL,
  operation,
  overlaid,
  refusal,
  register,
  type TestPlane,
  testPlane,
} from "./testing.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const local = { realm: LOCAL };

const tombstones = (plane: TestPlane, realm = LOCAL) =>
  [...realmOf(plane.hub.current(), realm).tombstones].map(([name]) => name as string).sort();

async function remove(plane: TestPlane, name: string, realm = LOCAL) {
  const { revision } = await plane.change({ ...command("delete_service", name, { force: true }), realm });
  return revision;
}

/** Forgets deletions, and lets the map show it. */
async function forget(plane: TestPlane) {
  await forgetDeletions(plane);
  await plane.hub.reached((await plane.store.read("")).revision);
}

Deno.test("a deletion is remembered for an hour; who missed it by then starts from a whole map", async () => {
  await using plane = await testPlane();
  for (const name of ["old", "new", "stays"]) await plane.change(register(name));
  const folded = new Folded();
  folded.fold(since(plane.hub.current(), local));
  const old = await remove(plane, "old");
  const between = plane.hub.current().position;
  plane.clock.pass(HOUR - 1);
  await remove(plane, "new");
  await forget(plane);
  assert.deepEqual(tombstones(plane), ["new", "old"]);
  plane.clock.pass(1);
  await forget(plane);
  assert.deepEqual([tombstones(plane), plane.hub.current().floor], [["new"], old]);

  const late = since(plane.hub.current(), local, folded.position);
  assert.equal(late.complete, true);
  folded.fold(late);
  assert.deepEqual(folded.sorted(), servicesIn(plane.hub.current(), local));
  const told = since(plane.hub.current(), local, between);
  assert.deepEqual([told.complete, told.deleted], [false, ["new"]], "who knew of it needs no whole map");

  await using restarted = await testPlane({ store: plane.store, clock: plane.clock });
  assert.deepEqual([tombstones(restarted), restarted.hub.current().floor], [["new"], old]);
  const { revision } = restarted.hub.current().position;
  await forget(restarted);
  assert.equal(restarted.hub.current().position.revision, revision, "nothing is written where nothing is old");
});

Deno.test("the floor only rises, however many deletions are forgotten at once, of however many realms", async () => {
  await using plane = await testPlane();
  const realms = [LOCAL, "testing" as Realm, "production" as Realm];
  const deleted: Revision[] = [];
  for (let n = 0; n < 100; n++) {
    for (const realm of realms) {
      await plane.change({ ...register(`s${n}`), realm });
      deleted.push(await remove(plane, `s${n}`, realm));
    }
  }
  plane.clock.pass(HOUR);
  const floors: Revision[] = [plane.hub.current().floor];
  const from = plane.hub.current().position.revision;
  await forget(plane);
  for await (const { writes } of plane.store.history("map/floor", from)) {
    floors.push(BigInt(JSON.parse(new TextDecoder().decode(writes[0]!.value))) as Revision);
  }
  assert.ok(floors.length > 3);
  assert.deepEqual(floors, floors.toSorted((a, b) => a < b ? -1 : 1));
  assert.equal(plane.hub.current().floor, deleted.at(-1));
  for (const realm of realms) assert.deepEqual(tombstones(plane, realm), []);
});

Deno.test("a service that comes back while its deletion is forgotten is there", async () => {
  const { store, beforeNextCommit } = interruptible();
  await using plane = await testPlane({ store });
  for (const name of ["a", "b"]) {
    await plane.change(register(name));
    await remove(plane, name);
  }
  plane.clock.pass(HOUR);
  beforeNextCommit(() => plane.change(register("a", "again")));
  await forget(plane);
  assert.deepEqual([plane.ids("a"), tombstones(plane)], [["again"], ["b"]], "the next look forgets the other");
  await forget(plane);
  assert.deepEqual([plane.ids("a"), tombstones(plane)], [["again"], []]);
  await using restarted = await testPlane({ store: plane.store, clock: plane.clock });
  assert.deepEqual([restarted.ids("a"), tombstones(restarted)], [["again"], []]);
});

Deno.test("history and operations are remembered for seven days", async () => {
  await using plane = await testPlane();
  const old = await plane.change(register("a", "old"), operation("old"));
  plane.clock.pass(DAY);
  const young = await plane.change(register("a", "young"), operation("young"));
  const operations = async () => (await plane.store.read("operation/")).entries.map(({ key }) => key.split("/")[2]);
  plane.clock.pass(HISTORY_MS - DAY - 1);
  await forgetPast(plane);
  assert.deepEqual([plane.store.remembered(), await operations()], [0n, ["old", "young"]]);
  plane.clock.pass(1);
  await forgetPast(plane);
  assert.deepEqual([plane.store.remembered(), await operations()], [old.revision, ["young"]]);
  await assert.rejects(plane.store.read("", (old.revision - 1n) as Revision), Lost);
  assert.deepEqual(await plane.change(register("a", "young"), operation("young")), young);
  // Its id is free again.
  await plane.change(register("b", "new"), operation("old"));
  assert.equal(refusal(await plane.operations.execute(operation("old"), register("c"))).code, "invalid");

  // Nothing happens for long: the last change is what is remembered of the past.
  plane.clock.pass(30 * DAY);
  for (let times = 0; times < 2; times++) await forgetPast(plane);
  assert.deepEqual(await operations(), []);
  assert.ok(plane.store.remembered() > young.revision);
  assert.deepEqual(plane.ids("a"), ["old", "young"]);
});

Deno.test("an operation of an id that was free again outlives the memory of the first", async () => {
  // The process ends between the two steps of forgetting.
  const { store, beforeNextCommit } = interruptible();
  await using plane = await testPlane({ store });
  await plane.change(register("a"), operation("op"));
  await plane.change(register("b"), operation("other"));
  plane.clock.pass(HISTORY_MS);
  const dies = { ...plane, store: { ...store, forget: () => Promise.reject(new Error("killed")) } };
  await assert.rejects(forgetPast(dies), /killed/);
  const second = await plane.change(register("a", "second"), operation("op"));
  beforeNextCommit(() => Promise.resolve());
  await forgetPast(plane);
  assert.deepEqual(await plane.change(register("a", "second"), operation("op")), second);
  assert.deepEqual((await store.read("operation/")).entries.map(({ key }) => key), ["operation/local/op/"]);
});

Deno.test("operations are forgotten many at a time, whatever comes again meanwhile, and no further than they are old", async () => {
  const memory = openMemoryStore();
  const commits: number[] = [];
  let again: (() => Promise<unknown>) | undefined;
  let upTo: Revision | undefined;
  const store = overlaid(memory, {
    commit: async (writes, guards) => {
      await again?.();
      again = undefined;
      commits.push(writes.length);
      return await memory.commit(writes, guards);
    },
    history: (prefix, after, until) => {
      if (prefix === "operation/") upTo = until?.upTo;
      return memory.history(prefix, after, until);
    },
  });
  await using plane = await testPlane({ store });
  for (let n = 0; n < 200; n++) await plane.change(register("a", `i${n}`), operation(`op-${n}`));
  const old = plane.hub.current().position.revision;
  plane.clock.pass(HISTORY_MS);
  await plane.change(register("b"), operation("young"));
  await assert.rejects(forgetPast(plane, AbortSignal.abort(new Error("stopping"))), /stopping/);
  assert.equal(plane.store.remembered(), 0n);
  commits.length = 0;
  again = () => memory.commit([{ key: "operation/local/op-7/", value: new Uint8Array(1) }]);
  await forgetPast(plane);
  assert.deepEqual(commits, [80, 79, 80, 40], "the first was tried again without the one that came again");
  assert.equal(upTo, old);
  const left = (await memory.read("operation/")).entries.map(({ key }) => key.split("/")[2]);
  assert.deepEqual(left, ["op-7", "young"]);
});

Deno.test("forgetting that is refused says so, and is done the next time", async () => {
  const memory = openMemoryStore();
  let full = false;
  const store = overlaid(memory, {
    commit: async (...how) => full ? { kind: "refused", reason: "the disk is full" } : await memory.commit(...how),
  });
  await using plane = await testPlane({ store });
  await plane.change(register("a"), operation("op"));
  await remove(plane, "a");
  plane.clock.pass(HISTORY_MS);
  full = true;
  await assert.rejects(forgetDeletions(plane), /the disk is full/);
  await assert.rejects(forgetPast(plane), /the disk is full/);
  assert.equal(plane.store.remembered(), 0n);
  full = false;
  await forget(plane);
  await forgetPast(plane);
  assert.deepEqual([tombstones(plane), (await store.read("operation/")).entries], [[], []]);
});

Deno.test("deletions are not read one by one, and are left when it is time to stop", async () => {
  const memory = openMemoryStore();
  let reads = 0;
  const stopping = new AbortController();
  let forgetting = false;
  const store = overlaid(memory, {
    commit: async (...how) => {
      if (forgetting) stopping.abort(new Error("stopping"));
      return await memory.commit(...how);
    },
    read: (...how) => {
      reads++;
      return memory.read(...how);
    },
  });
  await using plane = await testPlane({ store });
  for (let n = 0; n < 100; n++) {
    await plane.change(register(`s${n}`));
    await remove(plane, `s${n}`);
  }
  plane.clock.pass(HOUR);
  reads = 0;
  forgetting = true;
  await assert.rejects(forgetDeletions(plane, stopping.signal), /stopping/);
  await plane.hub.reached((await memory.read("")).revision);
  assert.equal(tombstones(plane).length, 20, "one commit was under way");
  await forgetDeletions(plane);
  assert.equal(reads, 0);
  await plane.hub.reached((await memory.read("")).revision);
  assert.deepEqual(tombstones(plane), []);
});

Deno.test("startRetention() ends when it is disposed", async () => {
  await using plane = await testPlane();
  await using _retention = startRetention({ ...plane, clock: plane.clock });
  await plane.operations.execute(caller, register("a" as ServiceName));
});

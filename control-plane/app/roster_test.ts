import assert from "node:assert/strict";
import { openMemoryStore } from "../store/memory.ts";
import { type Log, SILENT } from "../../proto/log.ts";
import type { Follower } from "./followers.ts";
import { Roster } from "./roster.ts";
import { LOCAL, overlaid } from "./testing.ts";

const follower = (id: string): Follower => ({ id, kind: "sidecar", program: "test/1", zone: "" });
const names = (states: readonly { follower: Follower }[]) => states.map(({ follower }) => follower.id);

Deno.test("Roster follows what other control planes write to it, also after its log was lost", async () => {
  const memory = openMemoryStore();
  let cut: (() => void) | undefined;
  const store = overlaid(memory, {
    async *watch(prefix, after, signal) {
      const lost = new Promise<never>((_, reject) => cut = () => reject(new Error("cut off")));
      const batches = memory.watch(prefix, after, signal)[Symbol.asyncIterator]();
      for (;;) {
        const next = await Promise.race([batches.next(), lost]);
        if (next.done) return;
        yield next.value;
      }
    },
  });
  let changed = Promise.withResolvers<void>();
  await using mine = await Roster.open(store, SILENT, () => changed.resolve());
  await using other = await Roster.open(memory, SILENT, () => {});
  const expect = async (id: string) => {
    changed = Promise.withResolvers();
    await other.expect({ follower: follower(id), realm: LOCAL, since: 5 });
    await changed.promise;
  };
  await expect("a");
  assert.deepEqual(names(mine.of(LOCAL)), ["a"]);
  cut!();
  await expect("b");
  assert.deepEqual(names(mine.of(LOCAL)), ["a", "b"]);
  changed = Promise.withResolvers();
  await other.forget(LOCAL, "a");
  await changed.promise;
  assert.deepEqual(names(mine.of(LOCAL)), ["b"]);
  assert.equal((await mine.forget(LOCAL, "b"))?.kind, "committed");
});

Deno.test("Roster knows its own writes before its log tells of them, and is not led back by it", async () => {
  const memory = openMemoryStore();
  const goesOn = Promise.withResolvers<void>();
  const told = Promise.withResolvers<void>();
  const store = overlaid(memory, {
    async *watch(...how) {
      await goesOn.promise;
      for await (const batch of memory.watch(...how)) {
        yield batch;
        if (batch.revision === 3n) told.resolve();
      }
    },
  });
  const seen: string[] = [];
  await using roster: Roster = await Roster.open(store, SILENT, () => seen.push(names(roster.of(LOCAL)).join()));
  await roster.expect({ follower: follower("a"), realm: LOCAL, since: 5 });
  await roster.forget(LOCAL, "a");
  await roster.expect({ follower: follower("b"), realm: LOCAL, since: 5 });
  goesOn.resolve();
  await told.promise;
  assert.deepEqual(seen, ["a", "", "b"]);
});

Deno.test("Roster keeps nothing of who was taken off once its log has told of it, whoever hears of it first", async () => {
  const memory = openMemoryStore();
  let toldFirst = false;
  const store = overlaid(memory, {
    commit: async (...how) => {
      const commit = await memory.commit(...how);
      // Long enough for the log.
      if (toldFirst) await new Promise((resolve) => setTimeout(resolve, 0));
      return commit;
    },
  });
  const seen: string[] = [];
  await using roster: Roster = await Roster.open(store, SILENT, () => seen.push(names(roster.of(LOCAL)).join()));
  for (toldFirst of [false, true]) {
    await roster.expect({ follower: follower("a"), realm: LOCAL, since: 5 });
    await roster.forget(LOCAL, "a");
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.equal(roster["known"].size, 0);
  }
  assert.deepEqual(seen, ["a", "", "a", ""]);
});

Deno.test("Roster keeps what it knows while it cannot be read, and says so ever more seldom", async () => {
  const memory = openMemoryStore();
  const cut = Promise.withResolvers<never>();
  let broken = false;
  const store = overlaid(memory, {
    watch: () => ({ [Symbol.asyncIterator]: () => ({ next: () => cut.promise }) }),
    read: async (...how) => {
      const { entries, revision } = await memory.read(...how);
      const damaged = entries.map((entry) => entry.key.endsWith("/b") ? { ...entry, value: new Uint8Array() } : entry);
      return { revision, entries: broken ? damaged : entries };
    },
  });
  await using other = await Roster.open(memory, SILENT, () => {});
  for (const id of ["a", "b"]) await other.expect({ follower: follower(id), realm: LOCAL, since: 5 });
  const delays: unknown[] = [];
  const thrice = Promise.withResolvers<void>();
  const log: Log = {
    ...SILENT,
    error: (_, fields) => {
      assert.deepEqual(names(roster.of(LOCAL)), ["a", "b"]);
      if (delays.push(fields?.["delayMs"]) === 3) thrice.resolve();
    },
  };
  await using roster: Roster = await Roster.open(store, log, () => {});
  broken = true;
  cut.reject(new Error("cut off"));
  await thrice.promise;
  assert.deepEqual(names(roster.of(LOCAL)), ["a", "b"]);
  assert.deepEqual(delays, [100, 200, 400]);
});

import assert from "node:assert/strict";
import type { Epoch } from "../domain/names.ts";
import { servicesIn } from "../domain/update.ts";
import { openMemoryStore } from "../store/memory.ts";
import type { Commit, Store } from "../store/store.ts";
import { type Fields, type Log, SILENT } from "../../proto/log.ts";
import { beginEpoch, NO_EPOCH } from "./epoch.ts";
import { load, replay } from "./load.ts";
import { interruptible, LOCAL, overlaid, register, testPlane } from "./testing.ts";

const NOW = Date.UTC(2026, 0, 1);

/** A store that says that it was put back, until something is committed. */
function putBack(memory: Store): Store {
  let restored = true;
  return overlaid(memory, {
    get restored() {
      return restored;
    },
    commit: async (...how) => {
      const commit = await memory.commit(...how);
      if (commit.kind === "committed") restored = false;
      return commit;
    },
  });
}

function warnings() {
  const lines: { message: string; fields: Fields | undefined }[] = [];
  const log: Log = { ...SILENT, warn: (message, fields) => lines.push({ message, fields }) };
  return { log, lines };
}

const epochOf = async (store: Store, wallMs = NOW, log = SILENT) =>
  (await load({ store, log, now: () => wallMs })).position.epoch;

Deno.test("load() begins the first epoch at the wall clock, and goes on with it", async () => {
  const { log, lines } = warnings();
  const store = openMemoryStore();
  assert.equal(await epochOf(store, NOW, log), BigInt(NOW));
  const map = await load({ store, log, now: () => NOW + 9 });
  assert.deepEqual(map.position, { epoch: BigInt(NOW), revision: 1n });
  assert.deepEqual(lines, []);
});

Deno.test("load() begins an epoch over a store that was put back, once, and says so", async () => {
  const { log, lines } = warnings();
  const memory = openMemoryStore();
  const before = await epochOf(memory);
  const later = putBack(memory);
  assert.equal(await epochOf(later, NOW + 5, log), BigInt(NOW + 5));
  assert.equal(await epochOf(later, NOW + 9, log), BigInt(NOW + 5));
  assert.deepEqual(lines, [{
    message: "Began a new epoch: every follower starts again",
    fields: { before, epoch: BigInt(NOW + 5), reason: "the store was put back from a backup" },
  }]);
  // Whatever the clock says.
  assert.equal(await epochOf(putBack(memory), NOW - 3_600_000), BigInt(NOW + 6));
  // A copy of a store that nobody had used.
  assert.equal(await epochOf(putBack(openMemoryStore())), BigInt(NOW));
});

Deno.test("load() begins no second epoch where another one was faster", async () => {
  for (const used of [false, true]) {
    const memory = openMemoryStore();
    if (used) await epochOf(memory);
    const { store, beforeNextCommit } = interruptible(putBack(memory));
    beforeNextCommit(() => epochOf(store, NOW + 5));
    assert.equal(await epochOf(store, NOW + 9), BigInt(NOW + 5));
  }
});

Deno.test("load() throws when an epoch cannot be begun, and the next one begins it", async () => {
  const failures: Commit[] = [{ kind: "refused", reason: "the disk is full" }, { kind: "unknown", reason: "perhaps" }];
  for (const failure of failures) {
    const memory = openMemoryStore();
    const failing = (store: Store) => overlaid(store, { commit: () => Promise.resolve(failure) });
    const { reason } = failure as { reason: string };
    await assert.rejects(epochOf(failing(memory)), { message: `Cannot begin the store's first epoch: ${reason}` });
    const first = await epochOf(memory);
    const back = putBack(memory);
    await assert.rejects(epochOf(failing(back)), {
      message: `Cannot begin a new epoch, though the store was put back from a backup: ${reason}`,
    });
    assert.equal(await epochOf(back), first + 1n);
  }
});

Deno.test("beginEpoch() goes beyond what was, what is said to have been, and the clock", async () => {
  const store = openMemoryStore();
  const begin = async (wallMs: number, above = NO_EPOCH) => {
    const { before, epoch, commit } = await beginEpoch(store, (await store.read("")).entries, wallMs, above);
    return [before, epoch, commit.kind];
  };
  assert.deepEqual(await begin(7), [0n, 7n, "committed"]);
  assert.deepEqual(await begin(3), [7n, 8n, "committed"]);
  assert.deepEqual(await begin(3, 20n as Epoch), [8n, 21n, "committed"]);
  const { commit } = await beginEpoch(store, [], 99);
  assert.equal(commit.kind, "conflict");
});

Deno.test("replay() gives others their turn, and ends with its signal", async () => {
  await using plane = await testPlane();
  for (let port = 1; port <= 1_000; port++) await plane.change(register(`s${port % 10}`, `i${port}`, { port }));
  const snapshot = await plane.store.read("map/");
  let going = true;
  let turns = 0;
  const count = () => {
    turns++;
    if (going) setImmediate(count);
  };
  setImmediate(count);
  assert.deepEqual(
    servicesIn(await replay(snapshot), { realm: LOCAL }),
    servicesIn(plane.hub.current(), { realm: LOCAL }),
  );
  going = false;
  assert.ok(turns >= 2, `${turns} turns`);
  await assert.rejects(replay(snapshot, AbortSignal.abort(new Error("nobody waits"))), /nobody waits/);
});

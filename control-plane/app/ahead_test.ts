import assert from "node:assert/strict";
import type { Position } from "../domain/cluster_map.ts";
import type { Epoch, Revision } from "../domain/names.ts";
import { type Scope, since } from "../domain/update.ts";
import { openMemoryStore } from "../store/memory.ts";
import { Ahead } from "./ahead.ts";
import { command, LOCAL, overlaid, refusal, register, type TestPlane, testPlane } from "./testing.ts";

const local: Scope = { realm: LOCAL };

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

Deno.test("settle() tries again where to begin an epoch has failed", async () => {
  const { plane, lost } = await restored();
  await using _plane = plane;
  let broken = true;
  const operations: Pick<typeof plane.operations, "beginEpoch"> = {
    beginEpoch: async (...how) => {
      if (broken) throw new Error("the disk is damaged");
      return await plane.operations.beginEpoch(...how);
    },
  };
  const ahead = new Ahead({ ...plane, operations });
  const { epoch } = plane.hub.current().position;
  await assert.rejects(ahead.settle(lost), /damaged/);
  broken = false;
  assert.equal(await ahead.settle(lost), undefined);
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

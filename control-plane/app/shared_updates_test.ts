import assert from "node:assert/strict";
import type { Epoch, Revision } from "../domain/names.ts";
import { SharedUpdates } from "./shared_updates.ts";
import { LOCAL, register, testPlane } from "./testing.ts";

Deno.test("SharedUpdates makes one update for all who cannot resume, and keeps no more than the last few", async () => {
  await using plane = await testPlane();
  for (let i = 0; i < 9; i++) await plane.change(register(`s${i}`));
  const map = plane.hub.current();
  const { epoch, revision } = map.position;
  const shared = new SharedUpdates();
  const after = (of: bigint, at: bigint) =>
    shared.since(map, { realm: LOCAL }, { epoch: of as Epoch, revision: at as Revision });
  const complete = shared.since(map, { realm: LOCAL });
  assert.equal(complete.set.length, 9);
  assert.equal(after(epoch - 1n, revision), complete, "another epoch");
  assert.equal(after(epoch - 2n, 1n), complete, "yet another epoch");
  assert.equal(after(epoch, revision + 1n), complete, "ahead of the map");
  const newest = after(epoch, revision);
  assert.deepEqual([newest.complete, newest.set], [false, []]);
  for (let i = 1n; i < 8n; i++) after(epoch, revision - i);
  assert.equal(after(epoch, revision), newest);
  assert.notEqual(shared.since(map, { realm: LOCAL }), complete, "it is not kept for ever");
});

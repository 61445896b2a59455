import assert from "node:assert/strict";
import { emptyMap } from "../domain/cluster_map.ts";
import { EPOCH } from "../domain/testing.ts";
import { SharedUpdates } from "./shared_updates.ts";
import { LOCAL, never } from "./testing.ts";
import { Watcher } from "./watcher.ts";

Deno.test("Watcher gives the bookmark that somebody asked for while an update was under way, whatever the time", async () => {
  const map = emptyMap(EPOCH);
  using watcher = new Watcher(() => map, new SharedUpdates(), { realm: LOCAL }, undefined, () => {});
  assert.equal((await watcher.next(never)).complete, true);
  watcher.bookmark();
  watcher.tick();
  const { complete, set, deleted } = await watcher.next(AbortSignal.abort());
  assert.deepEqual([complete, set, deleted], [false, [], []]);
  // Nobody asked for another one, and it was not idle for long.
  watcher.tick();
  await assert.rejects(watcher.next(AbortSignal.abort()));
  watcher.tick();
  await watcher.next(AbortSignal.abort());
});

import assert from "node:assert/strict";
import { turn } from "../proto/testing/turn.ts";
import { get } from "./testing/caller.ts";
import { instance, service } from "./testing/maps.ts";
import { startBackend, startRig } from "./testing/rig.ts";

Deno.test("new services and versions take spare backends without a reload; when few are left more are made", async () => {
  await using one = startBackend("one");
  await using two = startBackend("two");
  await using rig = await startRig({ spares: 8, refillAfterMs: 50 });
  const i1 = instance("i1", { port: one.port });
  const i2 = instance("i2", { port: two.port, version: 2 });
  await rig.map.change("nobody");
  const body = async (name: string) => (await get(rig.port, "/", `Portolan-Service: ${name}`)).body;
  const { workerPid } = rig.haproxy;
  await rig.map.change(service("identity", { instances: [i1] }));
  assert.equal(await body("identity"), "one");
  await rig.map.change(service("identity", { instances: [i1, i2] }));
  assert.deepEqual([await body("v1.identity"), await body("v2.identity")], ["one", "two"]);
  await rig.map.change(service("teams", { instances: [i2], aliases: { live: 2 } }));
  assert.equal(await body("teams"), "two");
  assert.equal(rig.haproxy.workerPid, workerPid);
  assert.deepEqual([rig.reconciler.reloads.count, rig.reconciler.running?.spares.length], [0, 4]);
  // With the next ones three fourths are in use.
  await rig.map.change(...["a", "b", "c"].map((name) => service(name, { instances: [i1], aliases: { live: 1 } })));
  while (rig.reconciler.reloads.count === 0) await rig.map.change();
  assert.deepEqual(rig.reconciler.reloads.newest[0]?.reasons, [{
    kind: "spares",
    text: "few spare backends are left",
  }]);
  assert.equal(rig.reconciler.running?.spares.length, 8);
  for (const name of ["identity", "a", "b", "c"]) assert.match(await body(name), /one|two/);
});

Deno.test("spare backends that could not be made for all the old workers are made later, though nothing changes", async () => {
  let oldWorkers = 0;
  await using rig = await startRig({ spares: 2, refillAfterMs: 0, oldWorkers: () => Promise.resolve(oldWorkers) });
  await rig.map.change("nobody");
  oldWorkers = 32;
  await rig.map.change(
    ...["a", "b"].map((name) => service(name, { instances: [instance("i1")], aliases: { live: 1 } })),
  );
  while (rig.reconciler.reloads.waits === undefined) await turn();
  assert.equal(rig.reconciler.reloads.count, 0);
  oldWorkers = 0;
  while (rig.reconciler.reloads.count === 0) await turn();
  assert.equal(rig.reconciler.running?.spares.length, 2);
});

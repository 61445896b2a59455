import assert from "node:assert/strict";
import { turn } from "../../proto/testing/turn.ts";
import { get } from "../testing/caller.ts";
import { instance, service } from "../testing/maps.ts";
import { startBackend } from "../testing/rig.ts";
import { Adopted } from "./adopted.ts";
import { DataFolder } from "./data_folder.ts";
import { processes, tellReload } from "./master.ts";
import { openKeeper, parsed } from "./testing/keeper.ts";
import { leaveHaproxy } from "./testing/left.ts";
import { planOf } from "./testing/plans.ts";

const NAME = "Portolan-Service: identity";

Deno.test("HAProxy whose sidecar was killed is adopted, reloads as often as it is told to, and ends as an own one does", async () => {
  await using one = startBackend("one");
  await using keeper = await openKeeper();
  const plan = planOf([service("identity", { instances: [instance("i1", { port: one.port })] })]);
  keeper.data.install(keeper.print(plan, 7));
  const left = await leaveHaproxy(keeper.data);
  const { workers: [worker] } = await processes(keeper.data.masterSocket);

  assert.equal(await keeper.haproxy.adopt(7), true);
  assert.equal(keeper.haproxy.workerPid, worker);
  assert.equal(keeper.haproxy.loads, 0);
  for (let at = 0; at < 20; at++) {
    await keeper.haproxy.reload((generation) => keeper.print(plan, generation));
    assert.equal((await get(keeper.port, "/", NAME)).body, "one");
  }
  assert.equal((await processes(keeper.data.masterSocket)).master, left.pid);
  assert.equal(keeper.haproxy.loads, 20);

  await keeper.haproxy[Symbol.asyncDispose]();
  assert.equal((await left.status).success, true);
  assert.deepEqual([...Deno.readDirSync(keeper.path)].map(({ name }) => name).sort(), [
    ...["errors", "haproxy.cfg", "lock", "routes.map"],
  ]);
});

for (const victim of ["worker", "master", "both"] as const) {
  Deno.test(`an adopted HAProxy whose ${victim} is killed serves again, from the files, within a second`, async () => {
    await using one = startBackend("one");
    await using two = startBackend("two");
    await using keeper = await openKeeper();
    const instances = [instance("i1", { port: one.port })];
    const plan = planOf([service("identity", { instances })]);
    keeper.data.install(keeper.print(plan, 1));
    const left = await leaveHaproxy(keeper.data);
    assert.equal(await keeper.haproxy.adopt(1), true);
    const next = planOf([service("identity", { instances: [instance("i1", { port: two.port })] })], plan);
    await keeper.haproxy.update((generation) => keeper.print(next, generation), []);
    assert.equal((await get(keeper.port, "/", NAME)).body, "one");

    const { master, workers: [worker = 0] } = await processes(keeper.data.masterSocket);
    const began = performance.now();
    if (victim !== "worker") Deno.kill(master, "SIGKILL");
    if (victim !== "master") Deno.kill(worker, "SIGKILL");
    for (;;) {
      const answer = await get(keeper.port, "/", NAME).catch(() => undefined);
      if (answer?.body === "two") break;
      await turn();
    }
    const took = performance.now() - began;
    assert.ok(took < 1_000, `it took ${took} ms`);
    await left.status;
    while (keeper.haproxy.workerPid === worker) await turn();
  });
}

Deno.test("an adopted HAProxy that somebody else reloads is not taken for dead", async () => {
  await using one = startBackend("one");
  let restarts = 0;
  await using keeper = await openKeeper({ onRestart: () => restarts++ });
  const plan = planOf([service("identity", { instances: [instance("i1", { port: one.port })] })]);
  keeper.data.install(keeper.print(plan, 1));
  const left = await leaveHaproxy(keeper.data);
  assert.equal(await keeper.haproxy.adopt(1), true);
  for (let at = 0; at < 5; at++) {
    const { reloads } = await processes(keeper.data.masterSocket);
    await tellReload(keeper.data.masterSocket);
    while (!((await processes(keeper.data.masterSocket).catch(() => undefined))?.reloads === reloads + 1)) await turn();
  }
  assert.equal((await get(keeper.port, "/", NAME)).body, "one");
  assert.equal((await processes(keeper.data.masterSocket)).master, left.pid);
  assert.equal(restarts, 0);
  await keeper.haproxy[Symbol.asyncDispose]();
  await left.status;
});

Deno.test("an adopted HAProxy whose worker is killed while it is reloaded is not taken for dead", async () => {
  await using one = startBackend("one");
  let restarts = 0;
  await using keeper = await openKeeper({ onRestart: () => restarts++ });
  // Many, so that nobody listens anywhere for a while.
  const others = Array.from(
    { length: 10 },
    (_, at) => service(`s${at}`, { instances: Array.from({ length: 500 }, (_, of) => instance(`i${of}`)) }),
  );
  const plan = planOf([service("identity", { instances: [instance("i1", { port: one.port })] }), ...others]);
  keeper.data.install(keeper.print(plan, 1));
  const left = await leaveHaproxy(keeper.data);
  assert.equal(await keeper.haproxy.adopt(1), true);
  const { workers: [worker = 0] } = await processes(keeper.data.masterSocket);
  await tellReload(keeper.data.masterSocket);
  Deno.kill(worker, "SIGKILL");
  for (;;) {
    const { workers: [next = worker] } = await processes(keeper.data.masterSocket).catch(() => ({ workers: [] }));
    if (next !== worker) break;
    await turn();
  }
  assert.equal((await get(keeper.port, "/", NAME)).body, "one");
  assert.equal((await processes(keeper.data.masterSocket)).master, left.pid);
  assert.equal(restarts, 0);
  await keeper.haproxy[Symbol.asyncDispose]();
  await left.status;
});

Deno.test("a HAProxy that was being started when its sidecar was killed is waited for", async () => {
  await using keeper = await openKeeper();
  keeper.data.install(keeper.print(planOf([]), 1));
  keeper.data.isStarting = true;
  const adopted = keeper.haproxy.adopt(1);
  // Longer than nobody listens anywhere in a reload.
  await new Promise((done) => setTimeout(done, 200));
  const left = await leaveHaproxy(keeper.data);
  assert.equal(await adopted, true);
  assert.equal(keeper.data.isStarting, false);
  await keeper.haproxy[Symbol.asyncDispose]();
  await left.status;
});

Deno.test("a folder that is gone is looked at now and then, not over and over", async () => {
  using data = await DataFolder.open(await Deno.makeTempDir({ prefix: "haproxy-" }));
  await Deno.remove(data.path, { recursive: true });
  let looks = 0;
  const look = data.workerSockets.bind(data);
  data.workerSockets = () => {
    looks++;
    return look();
  };
  const adopted = new Adopted(data, 1);
  while (looks === 0) await turn();
  for (let at = 0; at < 50; at++) await turn();
  assert.equal(looks, 1);
  adopted.release();
  await adopted.ended;
});

Deno.test("HAProxy that runs older files than are in place is adopted by a reload from these", async () => {
  await using one = startBackend("one");
  await using two = startBackend("two");
  await using keeper = await openKeeper();
  const plan = planOf([service("identity", { instances: [instance("i1", { port: one.port })] })]);
  keeper.data.install(keeper.print(plan, 4));
  const left = await leaveHaproxy(keeper.data);
  const next = planOf([service("identity", { instances: [instance("i2", { port: two.port })] })], plan);
  keeper.data.install(keeper.print(next, 5));

  assert.equal(await keeper.haproxy.adopt(parsed(keeper.data).generation), true);
  assert.equal(keeper.haproxy.loads, 1);
  assert.equal((await get(keeper.port, "/", NAME)).body, "two");
  await keeper.haproxy.reload((generation) => keeper.print(plan, generation));
  assert.equal(parsed(keeper.data).generation, 6);
  assert.equal((await get(keeper.port, "/", NAME)).body, "one");
  await keeper.haproxy[Symbol.asyncDispose]();
  await left.status;
});

Deno.test("HAProxy that cannot load the files in place goes on, and start() can give it others", async () => {
  await using one = startBackend("one");
  await using two = startBackend("two");
  await using keeper = await openKeeper();
  const plan = planOf([service("identity", { instances: [instance("i1", { port: one.port })] })]);
  keeper.data.install(keeper.print(plan, 1));
  const left = await leaveHaproxy(keeper.data);
  const files = keeper.print(plan, 2);
  const bad = `${files.config.text}nonsense\n`;
  await Deno.writeTextFile(`${keeper.path}/haproxy.cfg`, bad);

  await assert.rejects(keeper.haproxy.adopt(2), /^Error: Cannot reload HAProxy, which goes on as before/);
  assert.equal((await get(keeper.port, "/", NAME)).body, "one");
  await assert.rejects(keeper.haproxy.startAsIs(2), /^Error: Cannot start HAProxy: one runs already/);
  const next = planOf([service("identity", { instances: [instance("i2", { port: two.port })] })], plan);
  await keeper.haproxy.start((generation) => keeper.print(next, generation));
  assert.equal((await get(keeper.port, "/", NAME)).body, "two");
  assert.equal((await processes(keeper.data.masterSocket)).master, left.pid);
  await keeper.haproxy[Symbol.asyncDispose]();
  await left.status;
});

Deno.test("where nothing runs nothing is adopted, and startAsIs() starts what the files say", async () => {
  await using one = startBackend("one");
  await using keeper = await openKeeper();
  assert.equal(await keeper.haproxy.adopt(3), false);
  keeper.data.install(
    keeper.print(planOf([service("identity", { instances: [instance("i1", { port: one.port })] })]), 3),
  );
  // As after a machine that lost its power.
  for (const name of ["master.sock", "worker-3.sock", "relay.sock", "relay.sock.99.tmp", "worker-2.sock"]) {
    Deno.listen({ transport: "unix", path: `${keeper.path}/${name}` }).close();
  }
  assert.equal(await keeper.haproxy.adopt(3), false);
  await keeper.haproxy.startAsIs(3);
  assert.equal((await get(keeper.port, "/", NAME)).body, "one");
  const sockets = [...Deno.readDirSync(keeper.path)].map(({ name }) => name).filter((name) => name.includes(".sock"));
  assert.deepEqual(sockets.sort(), ["master.sock", "relay.sock", "worker-3.sock"]);
});

Deno.test("startAsIs() starts nothing from files that HAProxy refuses", async () => {
  await using keeper = await openKeeper();
  keeper.data.install(keeper.print(planOf([]), 1));
  await Deno.writeTextFile(`${keeper.path}/haproxy.cfg`, "nonsense\n");
  await assert.rejects(keeper.haproxy.startAsIs(1), /^Refused: haproxy -c refuses the configuration: .*nonsense/s);
});

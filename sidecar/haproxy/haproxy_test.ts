import assert from "node:assert/strict";
import { turn } from "../../proto/testing/turn.ts";
import type { Files } from "../config/print.ts";
import { Caller, get } from "../testing/caller.ts";
import { instance, service } from "../testing/maps.ts";
import { startBackend, startRig } from "../testing/rig.ts";
import { processes } from "./master.ts";
import { openKeeper } from "./testing/keeper.ts";
import { planOf } from "./testing/plans.ts";

const NAME = "Portolan-Service: identity";

Deno.test("HAProxy that dies, its worker or its master, runs again with the newest map", async () => {
  await using one = startBackend("one");
  await using two = startBackend("two");
  await using rig = await startRig();
  await rig.map.change(service("identity", { instances: [instance("i1", { port: one.port })] }));
  await rig.map.change(service("identity", { instances: [instance("i2", { port: two.port })] }));
  for (const victim of ["worker", "master"] as const) {
    const { master, workers } = await processes(rig.data.masterSocket);
    const loads = rig.haproxy.loads;
    Deno.kill(victim === "worker" ? workers[0] ?? 0 : master, "SIGKILL");
    while (rig.haproxy.loads === loads) await turn();
    assert.equal((await get(rig.port, "/", NAME)).body, "two", victim);
    assert.notEqual(rig.haproxy.workerPid, workers[0]);
  }
  // What the files do not say is not believed of the new one: `i1`, which was leaving, is added anew.
  await rig.map.change(service("identity", { instances: [instance("i1", { port: one.port })] }));
  assert.equal((await get(rig.port, "/", NAME)).body, "one");
  assert.deepEqual(rig.reconciler.reloads.newest, []);
});

Deno.test("a map that changes while HAProxy is dead is routed once it runs again", async () => {
  await using one = startBackend("one");
  await using rig = await startRig();
  const instances = [instance("i1", { port: one.port })];
  await rig.map.change(service("identity", { instances }));
  for (const names of [["teams"], ["orders", "users"]]) {
    Deno.kill((await processes(rig.data.masterSocket)).master, "SIGKILL");
    await rig.map.change(
      service("identity", { instances: [...instances, instance(`x${names.length}`, { port: one.port })] }),
      ...names.map((name) => service(name, { instances })),
    );
    for (const name of ["identity", ...names]) {
      assert.equal((await get(rig.port, "/", `Portolan-Service: ${name}`)).body, "one", name);
    }
  }
});

Deno.test("stopping lets a request that is under way end, does not wait for idle connections, and leaves nothing", async () => {
  const answered = Promise.withResolvers<Response>();
  await using slow = startBackend(
    "slow",
    ({ url }) => url.endsWith("/slow") ? answered.promise : new Response("quick"),
  );
  const rig = await startRig();
  let stopping: Promise<void> = Promise.resolve();
  try {
    await rig.map.change(service("identity", { instances: [instance("i1", { port: slow.port })] }));
    using idle = await Caller.connect(rig.port);
    using busy = await Caller.connect(rig.port);
    assert.equal((await idle.get("/", NAME)).body, "quick");
    const answer = busy.get("/slow", NAME);
    // Whatever fails first shall be told.
    answer.catch(() => {});
    while (slow.requests.length < 2) await turn();
    const { master, workers } = await processes(rig.data.masterSocket);
    stopping = rig[Symbol.asyncDispose]();
    await assert.rejects(async () => {
      for (;;) (await Caller.connect(rig.port).catch(unlessReset))?.[Symbol.dispose]();
    }, Deno.errors.ConnectionRefused);
    answered.resolve(new Response("late"));
    assert.equal((await answer).body, "late");
    await stopping;
    for (const pid of [master, ...workers]) assert.throws(() => Deno.kill(pid, "SIGCONT"), `process ${pid} is left`);
    await assert.rejects(Deno.stat(rig.data.path), Deno.errors.NotFound);
  } finally {
    answered.resolve(new Response());
    await stopping;
  }
});

Deno.test("HAProxy that cannot bind its port is no start, and says why", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const rig = await startRig({ port: taken.addr.port });
  await assert.rejects(
    rig.map.change(service("identity", {})),
    /^Refused: Cannot listen at 127\.0\.0\.1:[0-9]+: somebody else uses it/,
  );
  await assert.rejects(rig[Symbol.asyncDispose]());
});

Deno.test("a reload that does not come about leaves files and traffic as they were", async () => {
  await using one = startBackend("one");
  await using rig = await startRig();
  await rig.map.change(service("identity", { instances: [instance("i1", { port: one.port })] }));
  const worker = rig.haproxy.workerPid;
  const files = rig.data.installed ?? assert.fail();
  const bad = filesOf(`${files.config}nonsense\n`, files.routes);
  await assert.rejects(rig.haproxy.reload(() => bad), /^Refused: haproxy -c refuses the configuration: .*nonsense/s);
  assert.deepEqual(rig.data.readInstalled(), files);
  assert.equal(rig.haproxy.workerPid, worker);
  assert.equal((await get(rig.port, "/", NAME)).body, "one");
});

Deno.test("a reload that would find a port taken is refused, and nobody notices", async () => {
  await using one = startBackend("one");
  await using two = startBackend("two");
  await using keeper = await openKeeper();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const planFor = (port: number) => planOf([service("identity", { instances: [instance("i1", { port })] })]);
  await keeper.haproxy.start((generation) => keeper.print(planFor(one.port), generation));
  const before = keeper.data.readInstalled();
  using kept = await Caller.connect(keeper.port);
  assert.equal((await kept.get("/", NAME)).body, "one");
  await assert.rejects(
    keeper.haproxy.reload((generation) => {
      assert.equal(generation, 2);
      const { config, routes } = keeper.print(planFor(two.port), generation);
      return filesOf(config.text.replaceAll(`:${keeper.port}\n`, `:${taken.addr.port}\n`), routes.text);
    }),
    /^Refused: Cannot listen at 127\.0\.0\.1:[0-9]+: somebody else uses it/,
  );
  assert.deepEqual(keeper.data.readInstalled(), before);
  assert.equal((await get(keeper.port, "/", NAME)).body, "one");
  await keeper.haproxy.reload((generation) => {
    // Of the one before a worker might still come.
    assert.equal(generation, 3);
    return keeper.print(planFor(two.port), generation);
  });
  assert.equal((await kept.get("/", NAME)).body, "two");
});

/** As a faulty printer would make them. */
function filesOf(config: string, routes: string): Files {
  return { config: { text: config }, routes: { text: routes }, position: "none" } as Files;
}

/** A connection that nobody has accepted when its listener goes is reset. */
function unlessReset(error: unknown): undefined {
  if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
}

import assert from "node:assert/strict";
import { print } from "./config/print.ts";
import { EMPTY_PLAN, USUAL_FORM } from "./routing/plan.ts";
import { Caller, get } from "./testing/caller.ts";
import { instance, service } from "./testing/maps.ts";
import { startBackend, startRig } from "./testing/rig.ts";

Deno.test("instances, weights, switches, aliases and splits change without a reload", async () => {
  await using one = startBackend("one");
  await using two = startBackend("two");
  const i1 = instance("i1", { port: one.port });
  const i2 = instance("i2", { port: two.port, version: 2 });
  await using rig = await startRig({ deleteAfterMs: 0 });
  await rig.map.change(service("identity", { instances: [i1, i2], aliases: { canary: 2 } }));
  const worker = rig.haproxy.workerPid;
  const bodies = async (name = "identity") => {
    const seen = new Set<string>();
    for (let at = 0; at < 24; at++) seen.add((await get(rig.port, "/", `Portolan-Service: ${name}`)).body.slice(0, 3));
    return [...seen].sort().join();
  };
  const steps: readonly (readonly [expected: string, Parameters<typeof service>[1]])[] = [
    ["one,two", { instances: [i1, i2] }],
    ["one", { instances: [i1] }],
    ["one,two", { instances: [i1, i2] }],
    ["two", { instances: [{ ...i1, weight: 0 }, i2] }],
    ["one", { instances: [i1, { ...i2, enabled: false }] }],
    ["two", { instances: [{ ...i1, draining: true }, i2] }],
    ['{"t', { instances: [{ ...i1, draining: true }, { ...i2, draining: true }] }],
    ['{"t', { enabled: false, instances: [i1, i2] }],
    ["two", { instances: [i1, i2], aliases: { live: 2 } }],
    ["one,two", { instances: [i1, i2], aliases: { live: { split: { 1: 5000, 2: 5000 } } } }],
    ["one", { instances: [i1, i2], aliases: { live: { split: { 1: 10_000, 2: 0 } } } }],
    ['{"t', { instances: [], aliases: { live: 1 } }],
    ["two", { instances: [{ ...i1, port: two.port }, i2], aliases: { live: 1 } }],
    ['{"t', { instances: [i1, i2], aliases: { live: 9 } }],
  ];
  for (const [expected, init] of steps) {
    assert.deepEqual(await rig.map.change(service("identity", init)), []);
    assert.equal(await bodies(), expected, JSON.stringify(init, (_, value) => typeof value === "bigint" ? 0 : value));
  }
  await rig.map.change("identity");
  assert.equal((await get(rig.port, "/", "Portolan-Service: identity")).status, 404);
  assert.deepEqual(rig.reconciler.reloads.newest, []);
  assert.equal(rig.haproxy.workerPid, worker);
});

Deno.test("a new service, version or sticky header reloads once, with its reason", async () => {
  await using one = startBackend("one");
  const i1 = instance("i1", { port: one.port });
  const i2 = instance("i2", { port: one.port, version: 2 });
  await using rig = await startRig();
  await rig.map.change(service("identity", { instances: [i1] }));
  await rig.map.change(service("teams", { instances: [i1] }));
  await rig.map.change(service("identity", { instances: [i1, i2] }));
  const split = { 1: 5000, 2: 5000 };
  await rig.map.change(
    service("identity", { instances: [i1, i2], aliases: { live: { split, stickyHeader: "x-user" } } }),
  );
  await rig.map.change(service("identity", { instances: [i1], aliases: { ab: { split, stickyHeader: "x-user" } } }));
  await rig.map.change("teams");
  await rig.map.change(service("teams", { instances: [i1] }));
  assert.deepEqual(rig.reconciler.reloads.newest.flatMap(({ reasons }) => reasons.map(({ text }) => text)), [
    'new service "teams"',
    'new version 2 of "identity"',
    'new sticky header "x-user"',
  ]);
  assert.equal((await get(rig.port, "/", "Portolan-Service: teams")).body, "one");
});

Deno.test("reloads keep their distance, and everything that needs none does not wait for them", async () => {
  await using one = startBackend("one");
  await using two = startBackend("two");
  const i1 = instance("i1", { port: one.port });
  await using rig = await startRig({ reloadEveryMs: 1_500 });
  await rig.map.change(service("identity", { instances: [i1] }));
  await rig.map.change(service("first", { instances: [i1] }));
  assert.equal(rig.reconciler.reloads.newest.length, 1, "the first one is done at once");

  const later = rig.map.change(service("second", { instances: [i1] }));
  const moved = rig.map.change(
    service("identity", { instances: [instance("i2", { port: two.port }), instance("i3", { version: 3 })] }),
  );
  // Not `applied` yet, as a reload is owed; but routed.
  using caller = await Caller.connect(rig.port);
  while ((await caller.get("/", "Portolan-Service: v1.identity")).body !== "two");
  assert.equal(rig.reconciler.reloads.newest.length, 1);
  assert.equal((await caller.get("/", "Portolan-Service: second")).status, 404);
  await Promise.all([later, moved]);
  assert.deepEqual(rig.reconciler.reloads.newest.map(({ reasons }) => reasons.map(({ text }) => text).sort()), [
    ['new service "first"'],
    ['new service "second"', 'new version 3 of "identity"'].sort(),
  ]);
  assert.equal((await get(rig.port, "/", "Portolan-Service: second")).body, "one");
});

Deno.test("requests on kept and on new connections all succeed over reloads, and see the new map", async () => {
  await using one = startBackend("one");
  await using rig = await startRig();
  const instances = [instance("i1", { port: one.port })];
  await rig.map.change(service("identity", { instances }));
  let done = false;
  let requests = 0;
  const load = async (kept: boolean) => {
    let caller = await Caller.connect(rig.port);
    while (!done) {
      const answer = await caller.get("/", "Portolan-Service: identity");
      requests++;
      assert.deepEqual([answer.status, answer.body], [200, "one"]);
      // A worker that was replaced says goodbye with its last answer; then a client opens another connection.
      if (!kept || answer.headers.get("connection") === "close") {
        caller[Symbol.dispose]();
        caller = await Caller.connect(rig.port);
      }
    }
    caller[Symbol.dispose]();
  };
  const loads = Promise.all([load(true), load(true), load(true), load(false)]);
  loads.catch(() => done = true);
  using idle = await Caller.connect(rig.port);
  assert.equal((await idle.get("/", "Portolan-Service: identity")).status, 200);
  for (let at = 0; at < 5 && !done; at++) {
    await rig.map.change(service(`extra${at}`, { instances }));
    for (let turn = 0; turn < 5; turn++) {
      await rig.map.change(
        service("identity", { instances: turn % 2 ? instances : [...instances, instance("i2", { port: one.port })] }),
      );
    }
  }
  const old = await idle.get("/", "Portolan-Service: extra4");
  assert.deepEqual([old.status, old.body], [200, "one"], "an old connection does not know the newest service");
  done = true;
  await loads;
  assert.equal(rig.reconciler.reloads.newest.length, 5);
  assert.ok(requests > 100, `only ${requests} requests`);
});

Deno.test("what an old worker cannot answer for comes as its successor answers it", async () => {
  await using one = startBackend("one");
  await using rig = await startRig();
  const instances = [instance("i1", { port: one.port })];
  await rig.map.change(service("identity", { instances }));
  using unknown = await Caller.connect(rig.port);
  using refused = await Caller.connect(rig.port);
  for (const caller of [unknown, refused]) await caller.get("/", "Portolan-Service: identity");
  await rig.map.change("identity", service("teams", { instances }));
  const { status, headers } = await unknown.get("/", "Portolan-Service: identity");
  assert.deepEqual([status, headers.get("portolan-error")], [404, "no_service"]);
  assert.equal((await refused.get("/", "Portolan-Service: No")).headers.get("portolan-error"), "bad_request");
});

Deno.test("a service that cannot be rendered keeps its last good form and is reported; the others go on", async () => {
  await using one = startBackend("one");
  const i1 = instance("i1", { port: one.port });
  await using rig = await startRig();
  await rig.map.change(service("identity", { instances: [i1] }));
  const refused = await rig.map.change(
    service("identity", { instances: [{ ...i1, id: "i1\n  server evil 127.0.0.1:1" }] }),
    service("bad", { instances: [i1], aliases: { "v1": 1 } }),
    service("teams", { instances: [i1] }),
  );
  assert.deepEqual(refused.map(({ service }) => service), ["identity", "bad"]);
  assert.match(refused[0]?.reason ?? "", /^Cannot use instance id "i1\\n {2}server evil 127\.0\.0\.1:1": /);
  const status = async (name: string) => (await get(rig.port, "/", `Portolan-Service: ${name}`)).status;
  assert.deepEqual([await status("identity"), await status("teams"), await status("bad")], [200, 200, 404]);
  assert.deepEqual(await rig.map.change(service("identity", { instances: [i1] }), "bad"), []);
});

Deno.test("host names are resolved by the sidecar; an instance without an address is left out and reported", async () => {
  await using one = startBackend("one");
  const known = new Map([["one.internal", ["127.0.0.1"]], ["bad.internal", ["0.0.0.0", "x\ny"]]]);
  const lookup = (name: string) =>
    Promise.resolve(known.get(name)).then((found) => found ?? Promise.reject(new Error("no such name")));
  await using rig = await startRig({ lookup });
  const refused = await rig.map.change(service("identity", {
    instances: [
      instance("i1", { host: "one.internal", port: one.port }),
      instance("i2", { host: "two.internal" }),
      instance("i3", { host: "bad.internal" }),
    ],
  }));
  assert.deepEqual(refused, [{
    service: "identity",
    reason: 'Cannot route to instance "i2": its host "two.internal" has no address; ' +
      'Cannot route to instance "i3": its host "bad.internal" has no address',
  }]);
  assert.equal((await get(rig.port, "/", "Portolan-Service: identity")).body, "one");
  const config = await Deno.readTextFile(`${rig.data.path}/haproxy.cfg`);
  assert.ok(!config.includes("internal"));
});

Deno.test("a worker that runs something else than what it was told is reloaded, with that reason", async () => {
  await using one = startBackend("one");
  const i1 = instance("i1", { port: one.port });
  await using rig = await startRig();
  await rig.map.change(service("identity", { instances: [i1] }));
  // Somebody else plays with the socket.
  const { running = EMPTY_PLAN } = rig.reconciler;
  await rig.haproxy.update((generation) => print(running, rig.egress, { generation }), [
    {
      kind: "add-server",
      slot: "b001",
      form: USUAL_FORM,
      server: { name: "i2", host: "127.0.0.1", port: 9, weight: 1, state: "ready" },
    },
  ]);
  await rig.map.change(service("identity", { instances: [i1, instance("i2", { port: one.port })] }));
  assert.match(
    rig.reconciler.reloads.newest[0]?.reasons[0]?.text ?? "",
    /^the worker answered "Already exists a server/,
  );
  assert.equal((await get(rig.port, "/", "Portolan-Service: identity")).body, "one");
});

Deno.test("many instances and many names at once are as good as one", async () => {
  await using one = startBackend("one");
  await using rig = await startRig();
  const crowd = (count: number) =>
    Array.from({ length: count }, (_, at) => instance(`i${at}`, { port: one.port, weight: 1 + at % 256 }));
  await rig.map.change(service("identity", { instances: crowd(1) }));
  await rig.map.change(
    service("identity", { instances: crowd(400) }),
    ...Array.from({ length: 1_200 }, (_, at) => service(`bare-service-${at}`, {})),
  );
  assert.equal((await get(rig.port, "/", "Portolan-Service: identity")).body, "one");
  assert.equal((await get(rig.port, "/", "Portolan-Service: bare-service-1199")).status, 503);
  await rig.map.change(service("identity", { instances: crowd(2) }), "bare-service-7");
  assert.equal((await get(rig.port, "/", "Portolan-Service: bare-service-7")).status, 404);
  assert.deepEqual(rig.reconciler.reloads.newest, []);
});

Deno.test("while a new host name is looked up, a service stays as it was", async () => {
  await using one = startBackend("one");
  await using two = startBackend("two");
  const found = Promise.withResolvers<readonly string[]>();
  await using rig = await startRig({ lookup: () => found.promise });
  const i1 = instance("i1", { port: one.port });
  const i2 = instance("i2", { host: "two.internal", port: two.port, version: 2 });
  await rig.map.change(service("identity", { instances: [i1], aliases: { live: 1 } }));
  const moved = rig.map.change(
    service("identity", { instances: [i2], aliases: { live: 2 } }),
    service("other", { instances: [i1] }),
  );
  while ((await get(rig.port, "/", "Portolan-Service: other")).status !== 200);
  assert.equal((await get(rig.port, "/", "Portolan-Service: identity")).body, "one");
  found.resolve(["127.0.0.1"]);
  assert.deepEqual(await moved, []);
  assert.equal((await get(rig.port, "/", "Portolan-Service: identity")).body, "two");
});

Deno.test("a service that waits for a reload is served as it was meanwhile", async () => {
  await using one = startBackend("one");
  await using rig = await startRig({ reloadEveryMs: 700 });
  const instances = [instance("i1", { port: one.port }), instance("i2", { port: one.port, version: 2 })];
  await rig.map.change(service("identity", { instances }));
  await rig.map.change(service("first", { instances }));
  const live = { split: { 1: 5_000, 2: 5_000 }, stickyHeader: "x-user" };
  let applied = false;
  const waiting = rig.map.change(service("identity", { instances, aliases: { live } })).finally(() => applied = true);
  let asked = 0;
  using caller = await Caller.connect(rig.port);
  for (; !applied; asked++) {
    const { status, headers } = await caller.get("/", "Portolan-Service: identity");
    assert.equal(status, 200);
    if (headers.get("connection") === "close") break;
  }
  await waiting;
  assert.ok(asked > 20, `only ${asked} requests`);
  assert.equal(rig.reconciler.reloads.count, 2);
});

Deno.test("an instance that has moved gets nothing at its old address, whatever connections there are to that", async () => {
  await using one = startBackend("one");
  await using two = startBackend("two");
  await using rig = await startRig();
  await using used = new AsyncDisposableStack();
  const at = ({ port }: { port: number }) => service("identity", { instances: [instance("i1", { port })] });
  await rig.map.change(at(one));
  const callers = await Promise.all(Array.from({ length: 8 }, () => Caller.connect(rig.port)));
  for (const caller of callers) used.use(caller);
  const bodies = async () => {
    const answers = await Promise.all(callers.map((caller) => caller.get("/", "Portolan-Service: identity")));
    return new Set(answers.map(({ body }) => body));
  };
  for (const [backend, name] of [[one, "one"], [two, "two"], [one, "one"], [two, "two"]] as const) {
    await rig.map.change(at(backend));
    // Connections are kept on both sides.
    for (let round = 0; round < 5; round++) assert.deepEqual(await bodies(), new Set([name]));
  }
});

Deno.test("a map is applied once its own host names are looked up, whatever newer ones wait for", async () => {
  await using one = startBackend("one");
  const asked = new Map<string, PromiseWithResolvers<void>>();
  const found = new Map<string, PromiseWithResolvers<readonly string[]>>();
  const lookup = (name: string) => {
    asked.get(name)?.resolve();
    return found.get(name)?.promise ?? Promise.reject(new Error("nobody asks for it"));
  };
  await using rig = await startRig({ lookup });
  const applied: string[] = [];
  /** Puts a service whose instance is at a host, of which the address is looked up when this resolves. */
  const put = async (name: string, host: string) => {
    asked.set(host, Promise.withResolvers());
    found.set(host, Promise.withResolvers());
    const refused = rig.map.change(service(name, { instances: [instance("i1", { host, port: one.port })] }));
    const done = refused.then((refused) => applied.push(`${host} ${refused.length}`));
    await asked.get(host)?.promise;
    return { done, find: () => found.get(host)?.resolve(["127.0.0.1"]) };
  };
  const first = await put("first", "first.internal");
  const second = await put("second", "second.internal");
  first.find();
  await first.done;
  assert.deepEqual(applied, ["first.internal 0"]);
  const third = await put("third", "third.internal");
  const moved = await put("second", "moved.internal");
  third.find();
  while ((await get(rig.port, "/", "Portolan-Service: third")).body !== "one");
  assert.deepEqual(applied, ["first.internal 0"], "the newest form of a service that came before is not there");
  const last = await put("last", "last.internal");
  moved.find();
  await Promise.all([second.done, third.done, moved.done]);
  assert.equal((await get(rig.port, "/", "Portolan-Service: second")).body, "one");
  assert.equal(applied.length, 4);
  last.find();
  await last.done;
});

Deno.test("a map is applied while newer ones wait for a reload", async () => {
  await using one = startBackend("one");
  const asked = Promise.withResolvers<void>();
  const found = Promise.withResolvers<readonly string[]>();
  await using rig = await startRig({ reloadEveryMs: 600_000, lookup: () => (asked.resolve(), found.promise) });
  const instances = [instance("i1", { port: one.port })];
  await rig.map.change(service("identity", { instances }));
  await rig.map.change(service("first", { instances }));
  assert.equal(rig.reconciler.reloads.count, 1);
  const before = rig.map.change(
    service("identity", { instances: [...instances, instance("i2", { host: "two.internal", port: one.port })] }),
  );
  await asked.promise;
  let isNewApplied = false;
  rig.map.change(service("second", { instances })).then(() => isNewApplied = true, () => {});
  while (rig.reconciler.routed.services.get("second") === undefined) await get(rig.port, "/");
  found.resolve(["127.0.0.1"]);
  assert.deepEqual(await before, []);
  assert.equal(isNewApplied, false);
});

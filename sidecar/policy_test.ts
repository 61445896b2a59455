import assert from "node:assert/strict";
import { ServiceSpec_Balancer as Balancer } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { turn } from "../proto/testing/turn.ts";
import { AT, parseStatRows } from "./admin/stat_rows.ts";
import { Caller, get } from "./testing/caller.ts";
import { instance, service, type ServiceInit } from "./testing/maps.ts";
import { startBackend, startRig } from "./testing/rig.ts";

Deno.test("each balancer does what its name says", async () => {
  await using stack = new AsyncDisposableStack();
  const names = ["i1", "i2", "i3"];
  const weights = [100, 200, 100];
  const instances = names.map((name, at) => {
    const { port } = stack.use(startBackend(name));
    return instance(name, { port, weight: weights[at] ?? 0 });
  });
  await using rig = await startRig({ spares: 8 });
  const balanced = (name: string, balancer: Balancer) => service(name, { instances, spec: { balancer } });
  await rig.map.change(
    balanced("turn", Balancer.ROUND_ROBIN),
    balanced("ring", Balancer.RING_HASH),
    balanced("less-busy", Balancer.P2C),
  );
  using caller = await Caller.connect(rig.port);
  const ask = async (name: string, flow: string) =>
    (await caller.get("/", `Portolan-Service: ${name}`, `Portolan-Flow: ${flow}`)).body;
  const counts = async (name: string, requests: number) => {
    const seen: Record<string, number> = {};
    for (let at = 0; at < requests; at++) {
      const body = await ask(name, `f${at}`);
      seen[body] = (seen[body] ?? 0) + 1;
    }
    return seen;
  };
  assert.deepEqual(await counts("turn", 40), { i1: 10, i2: 20, i3: 10 });
  for (let at = 0; at < 20; at++) {
    const first = await ask("ring", `f${at}`);
    for (let again = 0; again < 3; again++) assert.equal(await ask("ring", `f${at}`), first);
  }
  assert.deepEqual(Object.keys(await counts("ring", 60)).sort(), names);
  assert.deepEqual(Object.keys(await counts("less-busy", 100)).sort(), names);
});

Deno.test("a ring goes by a split's sticky header, also where one version has all of it", async () => {
  await using stack = new AsyncDisposableStack();
  const instances = ["i1", "i2", "i3"].map((name) => instance(name, { port: stack.use(startBackend(name)).port }));
  await using rig = await startRig();
  const live = { split: { 1: 10_000, 2: 0 }, stickyHeader: "x-user" };
  await rig.map.change(service("ring", { instances, spec: { balancer: Balancer.RING_HASH }, aliases: { live } }));
  using caller = await Caller.connect(rig.port);
  const seen = async (headersOf: (at: number) => readonly string[]) => {
    const bodies = new Set<string>();
    for (let at = 0; at < 40; at++) {
      bodies.add((await caller.get("/", "Portolan-Service: ring", ...headersOf(at))).body);
    }
    return bodies.size;
  };
  assert.equal(await seen((at) => ["x-user: ann", `Portolan-Flow: f${at}`]), 1);
  assert.equal(await seen((at) => [`x-user: u${at}`, "Portolan-Flow: f"]), 3);
  assert.equal(await seen((at) => [`Portolan-Flow: f${at}`]), 3);
});

Deno.test("the less busy one gets more", async () => {
  await using slow = startBackend("slow", async () => {
    await new Promise((resolve) => setTimeout(resolve, 100));
    return new Response("slow");
  });
  await using quick = startBackend("quick");
  await using rig = await startRig();
  const instances = [instance("i1", { port: slow.port }), instance("i2", { port: quick.port })];
  await rig.map.change(service("identity", { instances }));
  await Promise.all(Array.from({ length: 8 }, async () => {
    using caller = await Caller.connect(rig.port);
    for (let at = 0; at < 20; at++) await caller.get("/", "Portolan-Service: identity");
  }));
  assert.ok(quick.requests.length > 2 * slow.requests.length, `${quick.requests.length} to ${slow.requests.length}`);
});

/** An instance that answers when it is told. */
function startPatient() {
  const gate = Promise.withResolvers<void>();
  const backend = startBackend("patient", () => gate.promise.then(() => new Response("patient")));
  return { ...backend, open: gate.resolve, arrived: () => backend.requests.length };
}

Deno.test("an instance gets no more at once than its limit, some wait, and what finds no room may be sent again", async () => {
  const patient = startPatient();
  await using _ = patient;
  // Nobody's wait is over before the test is.
  await using rig = await startRig({ timeouts: { connectMs: 10_000 } });
  const limited: ServiceInit = {
    instances: [instance("i1", { port: patient.port })],
    aliases: { live: 1 },
    spec: { limits: { maxConnections: 1, maxQueue: 1 } },
  };
  await rig.map.change(service("identity", limited));
  const ask = () => get(rig.port, "/", "Portolan-Service: identity");
  const waiting = async () =>
    parseStatRows(await rig.haproxy.statistics()).reduce((sum, { figures }) => sum + (figures[AT.qcur] ?? 0), 0);
  // One is there, one waits: the third is answered. (At once they might all find the queue empty.)
  const asked = [ask()];
  while (patient.arrived() === 0) await turn();
  asked.push(ask());
  while (await waiting() === 0) await turn();
  const third = await ask();
  assert.deepEqual([third.status, third.headers.get("portolan-error")], [503, "connect"]);
  assert.match(third.body, /as many waiting/);
  assert.equal(third.headers.get("portolan-not-processed"), "1");
  assert.equal(patient.arrived(), 1);
  patient.open();
  assert.deepEqual((await Promise.all(asked)).map(({ status }) => status), [200, 200]);
});

Deno.test("an instance may be silent for as long as the policy says, or as the caller has left", async () => {
  const patient = startPatient();
  await using _ = patient;
  await using rig = await startRig();
  const instances = [instance("i1", { port: patient.port })];
  await rig.map.change(
    service("hasty", { instances, spec: { policy: { timeoutMs: 100 } } }),
    service("usual", { instances }),
  );
  const outcome = async (...headers: string[]) => {
    const { status, headers: answered } = await get(rig.port, "/", ...headers);
    return [status, answered.get("portolan-error"), answered.get("portolan-not-processed")];
  };
  assert.deepEqual(await outcome("Portolan-Service: hasty"), [504, "timeout", undefined]);
  const left = "Portolan-Timeout-Ms: 100";
  assert.deepEqual(await outcome("Portolan-Service: usual", left), [504, "timeout", undefined]);
  patient.open();
  assert.deepEqual(await outcome("Portolan-Service: usual", "Portolan-Timeout-Ms: soon"), [200, undefined, undefined]);
});

import assert from "node:assert/strict";
import type { Service } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { SILENT } from "../../proto/log.ts";
import { sleep } from "../../proto/sleep.ts";
import { turn } from "../../proto/testing/turn.ts";
import { TestClock } from "../../sdk-ts/testing/clock.ts";
import { get } from "../testing/caller.ts";
import { Hearing } from "../testing/hearing.ts";
import { instance, service } from "../testing/maps.ts";
import { type Backend, freePort, startBackend, startRig } from "../testing/rig.ts";
import { callableOf } from "./callable.ts";
import { Ejecting } from "./ejecting.ts";

const GATHER_MS = 50;
const BACK_MS = 30_001;

/** A sidecar that leaves out who does not answer, on the clock of the test. */
async function startEjecting() {
  const clock = new TestClock();
  // HAProxy is asked as soon as ever; who is out comes back when the test says so.
  const sleepFor: typeof sleep = (ms, signal) => ms === GATHER_MS ? sleep(ms, signal) : clock.sleep(ms, signal);
  const rig = await startRig({ isEjected: (service, id) => ejecting.isEjected(service, id) });
  const ejecting: Ejecting = new Ejecting({
    serviceOf: (slot) => rig.reconciler.routed.plan.backends.get(slot)?.service,
    instancesOf: (service) => callableOf(rig.reconciler.routed.services.get(service)),
    connectFailures: (slot) => rig.haproxy.connectFailures(slot),
    onChange: (service) => rig.reconciler.look([service]),
    log: SILENT,
  }, { now: clock.now, sleep: sleepFor });
  const hearing = await Hearing.in(rig.data.path, (ended) => ejecting.heard(ended));
  /** One call, and whatever follows from its line. */
  const call = async (name: string) => {
    const { status } = await get(rig.port, "/", `Portolan-Service: ${name}`);
    await hearing.next();
    return status;
  };
  /** States of an instance in all backends that it is in. */
  const states = (id: string) =>
    [...rig.reconciler.routed.plan.backends.values()].flatMap(({ servers }) => servers.get(id)?.state ?? []);
  return {
    ...{ clock, rig, call, states },
    ejected: () => ejecting.ejected.map(({ instance }) => instance),
    change: (...services: readonly Service[]) => rig.map.change(...services),
    /** Calls until something holds; every call must be answered with 200. */
    async callUntil(name: string, holds: () => boolean) {
      for (let at = 0; !holds(); at++) {
        assert.ok(at < 500, `${name} has been called ${at} times`);
        assert.equal(await call(name), 200);
        await turn();
      }
    },
    async until(holds: () => boolean) {
      while (!holds()) await turn();
    },
    async [Symbol.asyncDispose]() {
      ejecting[Symbol.dispose]();
      await hearing[Symbol.asyncDispose]();
      await rig[Symbol.asyncDispose]();
    },
  };
}

const at = (id: string, { port }: Pick<Backend, "port">, more = {}) => instance(id, { port, ...more });

Deno.test("an instance of three that cannot be reached is left out, unseen by callers, and tried again after its time", async () => {
  await using good = startBackend("good");
  await using sidecar = await startEjecting();
  const dead = { port: freePort() };
  await sidecar.change(service("identity", { instances: [at("i1", good), at("i2", dead), at("i3", good)] }));
  await sidecar.callUntil("identity", () => sidecar.ejected().length > 0);
  assert.deepEqual(sidecar.ejected(), ["i2"]);
  await sidecar.until(() => sidecar.states("i2").every((state) => state === "maintenance"));
  assert.deepEqual([...sidecar.states("i1"), ...sidecar.states("i3")], Array(4).fill("ready"));
  const arrived = good.requests.length;
  for (let count = 0; count < 20; count++) assert.equal(await sidecar.call("identity"), 200);
  assert.equal(good.requests.length, arrived + 20);
  assert.deepEqual(sidecar.rig.reconciler.reloads.newest, [], "without a reload");

  (await sidecar.clock.nap(BACK_MS)).end();
  await sidecar.until(() => sidecar.states("i2").every((state) => state === "ready"));
  assert.deepEqual(sidecar.ejected(), []);
  // It is still dead: out again, for longer.
  await sidecar.callUntil("identity", () => sidecar.ejected().length > 0);
  assert.ok(sidecar.clock.begun.includes(60_001), String(sidecar.clock.begun));
});

Deno.test("an instance that comes back is called again after its time", async () => {
  await using good = startBackend("good");
  await using sidecar = await startEjecting();
  const port = freePort();
  await sidecar.change(service("identity", { instances: [at("i1", good), at("i2", { port })] }));
  await sidecar.callUntil("identity", () => sidecar.ejected().length > 0);
  const revived = Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, () => new Response("revived"));
  await using _ = revived;
  await sidecar.until(() => sidecar.states("i2").every((state) => state === "maintenance"));
  (await sidecar.clock.nap(BACK_MS)).end();
  await sidecar.until(() => sidecar.states("i2").every((state) => state === "ready"));
  while ((await get(sidecar.rig.port, "/", "Portolan-Service: identity")).body !== "revived");
});

Deno.test("a service's only instance is never left out", async () => {
  await using failing = startBackend("failing", () => new Response("", { status: 502 }));
  await using sidecar = await startEjecting();
  await sidecar.change(service("identity", { instances: [at("i1", failing)] }));
  for (let count = 0; count < 12; count++) assert.equal(await sidecar.call("identity"), 502);
  assert.deepEqual([sidecar.ejected(), sidecar.states("i1")], [[], ["ready", "ready"]]);
});

Deno.test("a version's only instance is called all the same, as there is no other", async () => {
  await using good = startBackend("good");
  await using failing = startBackend("failing", () => new Response("", { status: 502 }));
  await using sidecar = await startEjecting();
  const instances = [at("i1", good), at("i2", failing, { version: 2 }), at("i3", good)];
  await sidecar.change(service("identity", { instances }));
  while (sidecar.ejected().length === 0) assert.equal(await sidecar.call("v2.identity"), 502);
  // Out of the backend of all, in that of its version.
  await sidecar.until(() => sidecar.states("i2").includes("maintenance"));
  assert.deepEqual([...sidecar.states("i2")].sort(), ["maintenance", "ready"]);
  assert.equal(await sidecar.call("v2.identity"), 502);
  for (let count = 0; count < 20; count++) assert.equal(await sidecar.call("identity"), 200);
});

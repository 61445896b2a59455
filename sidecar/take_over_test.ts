import assert from "node:assert/strict";
import { SILENT } from "../proto/log.ts";
import { turn } from "../proto/testing/turn.ts";
import { print } from "./config/print.ts";
import { assign } from "./routing/assign.ts";
import { EMPTY_PLAN, type HaproxyPlan } from "./routing/plan.ts";
import { takeOver } from "./take_over.ts";
import { Caller, get } from "./testing/caller.ts";
import { instance, service, wantedOf } from "./testing/maps.ts";
import { startBackend, startRig } from "./testing/rig.ts";

/** What `takeOver` needs of a HAProxy that it has adopted. */
function adopted({ haproxy }: Awaited<ReturnType<typeof startRig>>) {
  return {
    adopt: () => Promise.resolve(true),
    startAsIs: () => Promise.reject(new Error("it runs")),
    observe: () => haproxy.observe(),
    update: (...args: Parameters<typeof haproxy.update>) => haproxy.update(...args),
    reload: (...args: Parameters<typeof haproxy.reload>) => haproxy.reload(...args),
  };
}

function names(plan: HaproxyPlan | undefined): readonly string[] {
  return [...plan?.backends.get("b001")?.servers.values() ?? []].map(({ name, state }) => `${name} ${state}`);
}

Deno.test("takeOver() says what is missing, and takes no server away from a connection", async () => {
  const gate = Promise.withResolvers<void>();
  await using one = startBackend("one");
  await using two = startBackend("two", () => gate.promise.then(() => new Response("two")));
  await using rig = await startRig();
  const [i1, i2] = [instance("i1", { port: one.port }), instance("i2", { port: two.port })];
  await rig.map.change(service("identity", { instances: [i2] }));
  using slow = await Caller.connect(rig.port);
  const answer = slow.get("/", "Portolan-Service: identity");
  while (two.requests.length === 0) await turn();
  // A sidecar that ended when the files were in place, and not a command was said.
  const plan = assign(wantedOf(service("identity", { instances: [i1] })), rig.reconciler.running ?? EMPTY_PLAN);
  await rig.haproxy.update((generation) => print(plan, rig.egress, { generation, position: "1.2" }), []);
  const left = await takeOver({ data: rig.data, haproxy: adopted(rig), egress: rig.egress, log: SILENT });
  assert.deepEqual([left?.unknown, left?.position], [undefined, "1.2"]);
  assert.deepEqual(names(left?.plan), ["i1 ready", "i2 leaving"]);
  assert.equal((await get(rig.port, "/", "Portolan-Service: identity")).body, "one");
  gate.resolve();
  assert.equal((await answer).body, "two");
});

Deno.test("takeOver() says why it does not know what runs, and nothing of another realm's files", async () => {
  await using one = startBackend("one");
  await using rig = await startRig();
  await rig.map.change(service("identity", { instances: [instance("i1", { port: one.port })] }));
  const broken = { ...adopted(rig), observe: () => Promise.reject(new Error("it does not answer")) };
  const left = await takeOver({ data: rig.data, haproxy: broken, egress: rig.egress, log: SILENT });
  assert.equal(left?.unknown, "it does not answer");
  assert.deepEqual(names(left?.plan), ["i1 ready"]);
  const elsewhere = { ...rig.egress, realm: "other" };
  assert.equal(await takeOver({ data: rig.data, haproxy: broken, egress: elsewhere, log: SILENT }), undefined);
});

import assert from "node:assert/strict";
import { SILENT } from "../proto/log.ts";
import { Refused } from "./haproxy/data_folder.ts";
import { TIMEOUTS } from "./config/print_base.ts";
import type { Printer } from "./haproxy/haproxy.ts";
import type { Files } from "./config/print.ts";
import { Reconciler } from "./reconcile.ts";
import { TestMap } from "./testing/following.ts";
import { instance, service } from "./testing/maps.ts";

/** A HAProxy that takes no configuration with the given text in it, and remembers what it was given. */
function pickyHaproxy(...dislikes: readonly string[]) {
  const taken: string[] = [];
  const check = ({ text }: Files["config"]) =>
    dislikes.some((word) => text.includes(word)) ? Promise.reject(new Refused("it is not liked")) : Promise.resolve();
  const load = async (print: Printer) => {
    const { config } = print(1);
    await check(config);
    taken.push(config.text);
  };
  const deleteServers = () => Promise.resolve([]);
  const never = { down: undefined, amend: () => false, sync: () => Promise.resolve() };
  return { start: load, reload: load, update: load, deleteServers, loads: 1, check, taken, ...never };
}

function startReconciler(haproxy: ReturnType<typeof pickyHaproxy>) {
  const map = new TestMap();
  const egress = { realm: "local", egress: { host: "127.0.0.1", port: 7410 }, timeouts: TIMEOUTS };
  const reconciler = new Reconciler({
    following: map,
    haproxy,
    data: haproxy,
    egress,
    log: SILENT,
    reloadEveryMs: 0,
    spares: 0,
  });
  const stop = new AbortController();
  const running = reconciler.run(stop.signal);
  const end = async () => {
    stop.abort();
    await running;
  };
  return { map, [Symbol.asyncDispose]: end };
}

const i1 = instance("i1");

Deno.test("what HAProxy refuses of a map stays in its last good form and is reported, and the rest goes on", async () => {
  const haproxy = pickyHaproxy("# bad: version 2");
  await using rig = startReconciler(haproxy);
  assert.deepEqual(
    await rig.map.change(service("identity", { instances: [i1] }), service("bad", { instances: [i1] })),
    [],
  );
  const worse = service("bad", { instances: [i1, instance("i2", { version: 2 })] });
  const refused = await rig.map.change(worse, service("identity", { instances: [i1, instance("i9")] }));
  assert.deepEqual(refused, [{ service: "bad", reason: "it is not liked" }]);
  assert.match(haproxy.taken.at(-1) ?? "", /# identity: version 1\nbackend b002 from service\n.*\n {2}server i9 /);
  assert.match(haproxy.taken.at(-1) ?? "", /# bad: version 1\n/);
  assert.deepEqual(await rig.map.change(service("bad", { instances: [i1] })), []);
});

Deno.test("of many services that change at once, only what HAProxy refuses stays as it was", async () => {
  const haproxy = pickyHaproxy("# bad-3: version 2", "# bad-7: version 2");
  await using rig = startReconciler(haproxy);
  const names = Array.from({ length: 9 }, (_, at) => `bad-${at}`);
  await rig.map.change(...names.map((name) => service(name, { instances: [i1] })));
  const two = [i1, instance("i2", { version: 2 })];
  const refused = await rig.map.change(...names.map((name) => service(name, { instances: two })));
  assert.deepEqual(refused, ["bad-3", "bad-7"].map((service) => ({ service, reason: "it is not liked" })));
  const running = haproxy.taken.at(-1) ?? "";
  for (const name of names) {
    assert.equal(running.includes(`# ${name}: version 2\n`), !["bad-3", "bad-7"].includes(name), name);
    assert.ok(running.includes(`# ${name}: version 1\n`), name);
  }
});

Deno.test("a first map that HAProxy refuses in part is no reason not to start", async () => {
  const haproxy = pickyHaproxy("# bad:");
  await using rig = startReconciler(haproxy);
  const refused = await rig.map.change(service("bad", { instances: [i1] }));
  assert.deepEqual(refused, [{ service: "bad", reason: "it is not liked" }]);
  assert.deepEqual(await rig.map.change("bad", service("identity", { instances: [i1] })), []);
  assert.match(haproxy.taken.at(-1) ?? "", /# identity: version 1\n/);
});

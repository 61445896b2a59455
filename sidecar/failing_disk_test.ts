import assert from "node:assert/strict";
import { turn } from "../proto/testing/turn.ts";
import type { DataFolder } from "./haproxy/data_folder.ts";
import { get } from "./testing/caller.ts";
import { instance, service } from "./testing/maps.ts";
import { startBackend, startRig } from "./testing/rig.ts";

Deno.test("a change that HAProxy has, and the disk has not, is taken back by the next map as any other", async () => {
  await using one = startBackend("one");
  await using two = startBackend("two");
  await using rig = await startRig({ spares: 4 });
  const at = (id: string, port: number) => service("identity", { instances: [instance(id, { port })] });
  await rig.map.change(at("i1", one.port));
  const failed = failOnce(rig.data, "sync");
  const lost = rig.map.change(
    at("i2", two.port),
    service("fresh", { instances: [instance("f1", { port: two.port })] }),
  );
  lost.catch(() => {});
  while (!failed()) await turn();
  await rig.map.change(at("i1", one.port), "fresh");
  assert.equal((await get(rig.port, "/", "Portolan-Service: identity")).body, "one");
  assert.equal((await get(rig.port, "/", "Portolan-Service: fresh")).status, 404);
  assert.ok(!rig.data.readInstalled()?.config.includes(`:${two.port} `));
});

Deno.test("a reload is one although what is left of the worker before cannot be removed", async () => {
  await using one = startBackend("one");
  await using rig = await startRig();
  const instances = [instance("i1", { port: one.port })];
  await rig.map.change(service("identity", { instances }));
  const failed = failOnce(rig.data, "removeSockets");
  await rig.map.change(service("fresh", { instances }));
  assert.ok(failed());
  assert.equal((await get(rig.port, "/", "Portolan-Service: fresh")).body, "one");
  await rig.map.change("fresh");
  assert.equal((await get(rig.port, "/", "Portolan-Service: fresh")).status, 404);
});

/** The next call of `method` fails, all others do what they do. Answers with whether that has happened. */
function failOnce(data: DataFolder, method: "sync" | "removeSockets"): () => boolean {
  let failed = false;
  const works = data[method].bind(data);
  data[method] = () => {
    failed = true;
    data[method] = works;
    return Promise.reject(new Error("too many open files"));
  };
  return () => failed;
}

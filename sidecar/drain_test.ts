import assert from "node:assert/strict";
import { turn } from "../proto/testing/turn.ts";
import { CommandSocket } from "./haproxy/command_socket.ts";
import { Caller, get } from "./testing/caller.ts";
import { instance, service } from "./testing/maps.ts";
import { startBackend, startRig } from "./testing/rig.ts";
import { phrase } from "./config/text.ts";

const NAME = "Portolan-Service: identity";

Deno.test("a draining instance gets no new calls, and those under way end, over a reload and its leaving too", async () => {
  const answers = new Map(["/first", "/second"].map((path) => [path, Promise.withResolvers<Response>()]));
  await using one = startBackend("one", ({ url }) => {
    return answers.get(new URL(url).pathname)?.promise ?? new Response("one");
  });
  await using two = startBackend("two");
  const i1 = instance("i1", { port: one.port });
  const i2 = instance("i2", { port: two.port });
  await using rig = await startRig({ deleteAfterMs: 0 });
  await rig.map.change(service("identity", { instances: [i1] }));
  using first = await Caller.connect(rig.port);
  using second = await Caller.connect(rig.port);
  const late = [first.get("/first", NAME), second.get("/second", NAME)];
  try {
    while (one.requests.length < 2) await turn();

    await rig.map.change(service("identity", { instances: [{ ...i1, draining: true }, i2] }));
    const others = async () => {
      const bodies = [];
      for (let at = 0; at < 8; at++) bodies.push((await get(rig.port, "/", NAME)).body);
      return new Set(bodies);
    };
    assert.deepEqual(await others(), new Set(["two"]));
    assert.deepEqual(await weights(rig.data.workerSocket(1), "i1"), ["0", "0"]);
    answers.get("/first")?.resolve(new Response("late"));
    assert.equal((await late[0])?.body, "late");

    await rig.map.change(service("teams", { instances: [i2] }));
    assert.equal(rig.reconciler.reloads.newest.length, 1);
    assert.deepEqual(await weights(rig.data.workerSocket(2), "i1"), ["0", "0"]);
    assert.deepEqual(await others(), new Set(["two"]));
    await rig.map.change(service("identity", { instances: [i2] }));
    answers.get("/second")?.resolve(new Response("late"));
    assert.equal((await late[1])?.body, "late");
  } finally {
    for (const { resolve } of answers.values()) resolve(new Response());
    await Promise.allSettled(late);
  }
});

Deno.test("an instance that drains no more gets calls again, without a reload", async () => {
  await using one = startBackend("one");
  await using rig = await startRig();
  const i1 = instance("i1", { port: one.port });
  for (const draining of [true, false, true, false]) {
    await rig.map.change(service("identity", { instances: [{ ...i1, draining }] }));
    const { status, headers } = await get(rig.port, "/", NAME);
    assert.deepEqual([status, headers.get("portolan-error")], draining ? [503, "no_instances"] : [200, undefined]);
  }
  assert.deepEqual(rig.reconciler.reloads.newest, []);
});

/** A server's effective weight, in each backend that has it. */
async function weights(socketPath: string, name: string): Promise<readonly string[]> {
  using socket = await CommandSocket.open(socketPath);
  const [header = "", ...rows] = (await socket.ask(phrase`show stat -1 4 -1`)).split("\n");
  const column = header.split(",").indexOf("weight");
  const cells = rows.map((row) => row.split(","));
  return cells.filter(([, server]) => server === name).map((row) => row[column] ?? "");
}

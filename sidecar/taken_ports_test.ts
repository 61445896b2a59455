import assert from "node:assert/strict";
import { ServiceSpec_Protocol as Protocol } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { turn } from "../proto/testing/turn.ts";
import { get } from "./testing/caller.ts";
import { instance, service } from "./testing/maps.ts";
import { freePort, startBackend, startEcho, startRig } from "./testing/rig.ts";

Deno.test("ports that others take while HAProxy is dead cost their services these ports alone, until they are free", async () => {
  await using one = startBackend("one");
  await using echo = startEcho("echo");
  await using rig = await startRig({ portRetryMs: 50 });
  const instances = [instance("i1", { port: one.port })];
  const [http, tcp, kept] = [freePort(), freePort(), freePort()];
  await rig.map.change(
    service("plain", { instances }),
    service("http", { instances, spec: { localPort: http } }),
    service("tcp", {
      instances: [instance("i1", { port: echo.port })],
      spec: { protocol: Protocol.TCP, localPort: tcp },
    }),
    service("kept", { instances, spec: { localPort: kept } }),
  );
  Deno.kill(rig.haproxy.workerPid, "SIGKILL");
  const thieves = await Promise.all([rob(http), rob(tcp)]);
  while (rig.reconciler.refused.length < 2 || rig.haproxy.workerPid === 0) await turn();
  assert.deepEqual(rig.reconciler.refused.map(({ service, reason }) => [service, reason]).sort(), [
    ["http", `Cannot serve it at 127.0.0.1:${http}: somebody else uses it`],
    ["tcp", `Cannot serve it at 127.0.0.1:${tcp}: somebody else uses it`],
  ]);
  for (const name of ["plain", "http", "kept"]) {
    assert.equal((await get(rig.port, "/", `Portolan-Service: ${name}`)).body, "one", name);
  }
  assert.equal((await get(kept, "/")).body, "one");
  assert.deepEqual((await rig.map.change(service("late", { instances }))).map(({ service }) => service).sort(), [
    "http",
    "tcp",
  ]);
  for (const thief of thieves) thief.close();
  while ((await rig.map.change()).length > 0);
  assert.equal((await get(http, "/")).body, "one");
});

Deno.test("a service in its last good form, whose port was taken while HAProxy was dead, keeps nobody else back", async () => {
  await using one = startBackend("one");
  await using rig = await startRig({ portRetryMs: 50 });
  const instances = [instance("i1", { port: one.port })];
  const own = freePort();
  await rig.map.change(service("http", { instances, spec: { localPort: own } }));
  // What a newer control plane may say.
  await rig.map.change(service("http", { instances, spec: { localPort: own, protocol: 77 as Protocol } }));
  Deno.kill(rig.haproxy.workerPid, "SIGKILL");
  using _ = await rob(own);
  while (rig.haproxy.down === undefined) await turn();
  while (rig.haproxy.down !== undefined || rig.haproxy.workerPid === 0) await turn();
  const refused = await rig.map.change(service("late", { instances }));
  assert.deepEqual(refused.map(({ service }) => service), ["http"]);
  for (const name of ["http", "late"]) {
    assert.equal((await get(rig.port, "/", `Portolan-Service: ${name}`)).body, "one", name);
  }
});

Deno.test("while somebody else has the egress port it is tried on, and said why; what has changed comes with the port", async () => {
  await using one = startBackend("one");
  await using rig = await startRig();
  const instances = [instance("i1", { port: one.port })];
  await rig.map.change(service("plain", { instances }));
  Deno.kill(rig.haproxy.workerPid, "SIGKILL");
  const thief = await rob(rig.port);
  while (rig.haproxy.down === undefined) await turn();
  assert.match(
    rig.haproxy.down,
    new RegExp(`^Cannot start HAProxy: .*Address already in use.*\\[127.0.0.1:${rig.port}\\]`),
  );
  const changed = rig.map.change(service("plain", { instances }), service("late", { instances }));
  thief.close();
  assert.deepEqual(await changed, []);
  assert.equal(rig.haproxy.down, undefined);
  assert.equal((await get(rig.port, "/", "Portolan-Service: late")).body, "one");
});

Deno.test("a sidecar ends when it is told to, also while HAProxy does not start and the map changes", async () => {
  const rig = await startRig();
  await rig.map.change(service("plain", {}));
  Deno.kill(rig.haproxy.workerPid, "SIGKILL");
  rig.map.change(service("early", {})).catch(() => {});
  using _ = await rob(rig.port);
  while (rig.haproxy.down === undefined) await turn();
  rig.map.change(service("late", {})).catch(() => {});
  await turn();
  await rig[Symbol.asyncDispose]();
});

/** Takes a port that HAProxy has, before it has it again: it was killed. */
async function rob(port: number): Promise<Deno.Listener> {
  for (;;) {
    try {
      return Deno.listen({ hostname: "127.0.0.1", port });
    } catch {
      await turn();
    }
  }
}

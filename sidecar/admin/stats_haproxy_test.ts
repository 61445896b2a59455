import assert from "node:assert/strict";
import { ServiceSpec_Balancer, ServiceSpec_Protocol } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { fakeSources } from "../testing/admin_sources.ts";
import { Caller, get } from "../testing/caller.ts";
import { instance, service } from "../testing/maps.ts";
import { freePort, type Rig, startBackend, startRig } from "../testing/rig.ts";
import { createAdmin } from "./admin.ts";
import { Measures } from "./measures.ts";
import type { Stats } from "./stats.ts";

async function statsOf(rig: Rig): Promise<Stats> {
  const sources = { ...fakeSources(), reconciler: rig.reconciler, haproxy: rig.haproxy };
  const answer = await createAdmin(sources, new Measures(sources)).request("/stats");
  assert.equal(answer.status, 200);
  return await answer.json();
}

Deno.test("GET /stats tells what a real HAProxy has done, by service, version and instance", async () => {
  await using good = startBackend("good", ({ url }) => new Response("", { status: url.endsWith("/fail") ? 500 : 200 }));
  await using rig = await startRig();
  const [dead, localPort, emptyPort] = [freePort(), freePort(), freePort()];
  const bytes = ServiceSpec_Protocol.TCP;
  await rig.map.change(
    service("identity", {
      instances: [
        instance("i1", { port: good.port }),
        instance("i2", { port: dead }),
        instance("i3", { port: good.port, version: 2, weight: 50 }),
      ],
      aliases: { canary: 7 },
      spec: { balancer: ServiceSpec_Balancer.ROUND_ROBIN },
    }),
    service("bytes", { instances: [instance("t1", { port: good.port })], spec: { protocol: bytes, localPort } }),
    service("empty", {
      instances: [instance("e1", { enabled: false })],
      spec: { protocol: bytes, localPort: emptyPort },
    }),
  );
  const call = async (count: number, path: string, ...headers: string[]) => {
    for (let at = 0; at < count; at++) await get(rig.port, path, ...headers);
  };
  await call(9, "/", "Portolan-Service: identity");
  await call(4, "/", "Portolan-Service: v2.identity");
  await call(1, "/fail", "Portolan-Service: v2.identity");
  await call(2, "/", "Portolan-Service: nobody");
  await call(1, "/", "Portolan-Service: canary.identity");
  await call(1, "/", "Portolan-Service: bytes");
  await call(3, "/");
  {
    using broken = await Caller.connect(rig.port);
    await broken.send("nonsense\r\n\r\n");
    await broken.read();
  }
  assert.equal((await get(localPort, "/")).status, 200);
  await assert.rejects(get(emptyPort, "/"));

  // What has just ended is counted in a moment.
  let stats = await statsOf(rig);
  while (stats.services.some(({ current }) => current > 0)) stats = await statsOf(rig);
  const { services: [first, , identity], own } = stats;
  assert.deepEqual(own, { noService: 2, noInstances: 2, tcpOnly: 1, badRequests: 4 });
  assert.deepEqual([first?.service, first?.requests, first?.versions[0]?.instances[0]?.instance], ["bytes", 1, "t1"]);
  assert.deepEqual([identity?.service, identity?.requests, identity?.statuses], [
    "identity",
    14,
    { "1xx": 0, "2xx": 13, "3xx": 0, "4xx": 0, "5xx": 1 },
  ]);
  const [i1, i2, i3] = identity?.versions.flatMap(({ instances }) => instances) ?? [];
  assert.deepEqual([i1?.share, i2?.share, i3?.share, i3?.weight], [5_000, 5_000, 10_000, 50]);
  assert.deepEqual([i2?.instance, i2?.requests, i2?.state, i2?.port], ["i2", 0, "ready", dead]);
  assert.ok((i2?.redispatches ?? 0) > 0, "who cannot be reached is told by what went on elsewhere");
  assert.equal((i1?.requests ?? 0) + (i3?.requests ?? 0), 14);
  assert.ok((i3?.requests ?? 0) > 5 && i3?.statuses["5xx"] === 1 && i3.bytesIn > 0 && i3.bytesOut > 0);
});

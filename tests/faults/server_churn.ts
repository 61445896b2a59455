import assert from "node:assert/strict";
import type { Instance } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { instance, service } from "../../sidecar/testing/maps.ts";
import { startRig } from "../../sidecar/testing/rig.ts";
import { startReceivers } from "../traffic/receivers.ts";
import { startTraffic } from "../traffic/traffic.ts";
import { defineFault } from "./fault.ts";
import type { Figure } from "./figures.ts";
import type { Chance } from "./seed.ts";

interface Sizes {
  /** Servers added, drained, moved or removed. */
  readonly steps: number;
  readonly streamMs: number;
}

/** At most so many beside those that stay. */
const MOST = 40;

/** What a registrar that flaps, or a fleet that is scaled up and down all day, does to one HAProxy process. */
export const serverChurn = defineFault<Sizes>({
  name: "F8",
  fault: "servers come, drain, move and go in a running HAProxy, with long connections to them",
  promise: "the same worker to the end: no crash, no reload, 0 failed requests; what is gone is forgotten",
  small: { steps: 250, streamMs: 500 },
  full: { steps: 10_000, streamMs: 5_000 },
  run,
});

async function run({ steps, streamMs }: Sizes, chance: Chance): Promise<readonly Figure[]> {
  await using receivers = await startReceivers(["i1", "i2", "i3"].map((id) => ({ id, service: "identity" })));
  const ports = ["i1", "i2", "i3"].map((id) => receivers.port(id));
  // Late is 10 s for the sidecar; here it is soon, so that much is deleted while connections last.
  await using rig = await startRig({ deleteAfterMs: 100, spares: 8 });
  const stays = instance("stays", { port: ports[0] ?? 0 });
  const others = new Map<string, Instance>();
  const change = () => rig.map.change(service("identity", { instances: [stays, ...others.values()] }));
  await change();
  const { workerPid } = rig.haproxy;
  await using traffic = await startTraffic({
    port: rig.port,
    receivers,
    seed: chance.below(2 ** 32),
    services: { http: ["identity"] },
    senders: { kept: 4, new: 1, stream: 12, websocket: 8, h2c: 2 },
    perSecond: 200,
    streamMs,
  });
  const done = { added: 0, drained: 0, moved: 0, removed: 0 };
  for (let step = 0; step < steps; step++) {
    const id = `s${chance.below(MOST)}`;
    const one = others.get(id);
    const what = one ? chance.pick(["drained", "moved", "removed", "removed"] as const) : "added";
    done[what]++;
    if (what === "removed") others.delete(id);
    else if (what === "drained") others.set(id, { ...one as Instance, draining: !one?.draining });
    else if (what === "moved") others.set(id, { ...one as Instance, port: chance.pick(ports) });
    else others.set(id, instance(id, { port: chance.pick(ports), weight: 1 + chance.below(256) }));
    await change();
  }
  others.clear();
  await change();
  const verdict = await traffic.stop();
  assert.deepEqual(verdict.problems, [], verdict.text);
  // Nobody uses them any more.
  const servers = async () => [...(await rig.haproxy.observe()).servers.values()].flatMap((each) => [...each.keys()]);
  while ((await servers()).some((name) => name !== "stays")) await change();
  assert.equal(rig.haproxy.workerPid, workerPid, "HAProxy was started again");
  assert.deepEqual(rig.reconciler.reloads.newest, []);
  return [
    ...Object.entries(done).map(([name, value]) => ({ name: `servers ${name}`, value })),
    { name: "requests", value: verdict.sent },
    { name: "failed, lost, doubled", value: verdict.failed, most: 0 },
    { name: "reloads", value: rig.reconciler.reloads.count, most: 0 },
  ];
}

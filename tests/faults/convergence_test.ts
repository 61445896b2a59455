import assert from "node:assert/strict";
import { Instance_Status, ServiceSpec_Protocol } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { phrase, type Text } from "../../sidecar/config/text.ts";
import { CommandSocket } from "../../sidecar/haproxy/command_socket.ts";
import { openKeeper } from "../../sidecar/haproxy/testing/keeper.ts";
import { planOf } from "../../sidecar/haproxy/testing/plans.ts";
import { instance, service } from "../../sidecar/testing/maps.ts";
import { differences, readRouting } from "./convergence.ts";

const ONE = instance("i1", { port: 8001 });
const TWO = instance("i2", { port: 8002, weight: 50 });
const NEXT = instance("i3", { port: 8003, version: 2 });
const EVERYTHING = [
  service("identity", {
    instances: [ONE, TWO, NEXT, instance("off", { enabled: false }), instance("drains", { draining: true })],
    aliases: {
      canary: 2,
      nobody: 9,
      live: { split: { 1: 9_999, 2: 1 } },
      trial: { split: { 1: 1_234, 2: 8_766 }, stickyHeader: "x-user" },
    },
  }),
  service("greeter", { instances: [ONE], spec: { protocol: ServiceSpec_Protocol.H2C } }),
  service("teams", { instances: [{ ...ONE, status: Instance_Status.FAILING }, TWO] }),
  service("failing", { instances: [{ ...ONE, status: Instance_Status.FAILING }] }),
  service("disabled", { enabled: false, instances: [ONE] }),
  service("empty", {}),
];

Deno.test("differences() finds none between a map and what it is printed to", () => {
  assert.deepEqual(differences(EVERYTHING, planOf(EVERYTHING)), []);
});

const MAP = [service("identity", { instances: [ONE, TWO, NEXT], aliases: { live: 1, canary: 2 } })];
const V1 = "http1 identity: i1 at 127.0.0.1:8001 × 2, i2 at 127.0.0.1:8002 × 1";

Deno.test("differences() finds what HAProxy lacks, and what it has from another map", () => {
  const planted = (instances: readonly typeof ONE[], aliases: Parameters<typeof service>[1]["aliases"] = {}) =>
    differences(MAP, planOf([service("identity", { instances, aliases: { live: 1, canary: 2, ...aliases } })]));
  const only = (line: string) => ["identity", "v1.identity"].map((name) => `${name} [0, 10000) → ${line}`);
  const instead = (line: string) => [
    ...only(V1).map((text) => `missing: ${text}`),
    ...only(line).map((text) => `too much: ${text}`),
  ];
  assert.deepEqual(planted([ONE, NEXT]), instead("http1 identity: i1 at 127.0.0.1:8001 × 1"));
  assert.deepEqual(
    planted([ONE, { ...TWO, enabled: false }, NEXT]),
    instead("http1 identity: i1 at 127.0.0.1:8001 × 1"),
  );
  assert.deepEqual(planted([ONE, { ...TWO, port: 8009 }, NEXT]), instead(V1.replace("8002", "8009")));
  assert.deepEqual(
    planted([ONE, { ...TWO, weight: 51 }, NEXT]),
    instead("http1 identity: i1 at 127.0.0.1:8001 × 100, i2 at 127.0.0.1:8002 × 51"),
  );
  assert.deepEqual(planted([{ ...ONE, weight: 2 }, { ...TWO, weight: 1 }, NEXT]), []);
  assert.deepEqual(planted([ONE, TWO, NEXT], { canary: { split: { 1: 1, 2: 9_999 } } }), [
    `missing: canary.identity [0, 10000) → http1 identity: i3 at 127.0.0.1:8003 × 1`,
    `too much: canary.identity [0, 1) → ${V1}`,
    `too much: canary.identity [1, 10000) → http1 identity: i3 at 127.0.0.1:8003 × 1`,
  ]);
  assert.deepEqual(planted([ONE, TWO, NEXT], { old: 1 }), [`too much: old.identity [0, 10000) → ${V1}`]);
});

Deno.test("differences() finds rows that lead nowhere, that are missing, and headers without a rule", () => {
  const [identity] = MAP;
  const map = [{
    ...identity!,
    aliases: service("identity", { aliases: { trial: { split: { 1: 1, 2: 9_999 }, stickyHeader: "x" } } }).aliases,
  }];
  const plan = planOf(map);
  assert.deepEqual(differences(map, plan), []);
  const routes = (change: (rows: Map<string, string>) => unknown) => {
    const rows = new Map(plan.routes);
    change(rows);
    return differences(map, { ...plan, routes: rows });
  };
  assert.deepEqual(routes((rows) => rows.delete("trial.identity/10000")), [
    `missing: trial.identity [0, 1) → ${V1}`,
  ]);
  assert.deepEqual(routes((rows) => rows.set("trial.identity/11", "no_instances")).length, 4);
  assert.deepEqual(routes((rows) => rows.set("gone/1", "b999")), [
    "too much: gone [0, 10000) → b999, which is no backend",
  ]);
  assert.deepEqual(
    routes((rows) => rows.set("v1.identity/1", "no_instances")).at(-1),
    "too much: v1.identity [0, 10000) → no instances",
  );
  assert.deepEqual(routes((rows) => rows.set("identity/p1", "b001")), [
    "too much: identity/p1 b001, which is no row of this kind of service",
  ]);
  assert.deepEqual(differences(map, { ...plan, stickyHeaders: [] }), [
    "missing: trial.identity keeps a caller by x",
    "too much: trial.identity/s x, which is no row of this kind of service",
  ]);
  const backends = new Map([...plan.backends].map(([slot, backend]) => [slot, { ...backend, servers: new Map() }]));
  assert.ok(differences(map, { ...plan, backends }).some((line) => line.endsWith("which is empty")));
});

Deno.test("readRouting() tells what a real HAProxy runs, whatever its files say", async () => {
  await using keeper = await openKeeper();
  await keeper.haproxy.start((generation) => keeper.print(planOf(MAP), generation));
  const tell = async (command: Text) => {
    using socket = await CommandSocket.open(keeper.data.workerSocket(1));
    await socket.ask(command);
    const { running, files } = await readRouting(keeper.path);
    assert.deepEqual(differences(MAP, files), []);
    return differences(MAP, running).filter((line) => line.startsWith("too much"));
  };
  assert.deepEqual(await tell(phrase`show version`), []);
  assert.deepEqual(await tell(phrase`set map routes.map canary.identity/1 no_instances`), [
    "too much: canary.identity [0, 10000) → no instances",
  ]);
  assert.deepEqual(await tell(phrase`add map routes.map canary.gone/1 b001`), [
    `too much: canary.gone [0, 10000) → ${V1}`,
    "too much: canary.identity [0, 10000) → no instances",
  ]);
  assert.equal((await tell(phrase`set server b001/i1 weight 2`)).length, 4);
  const alone = "http1 identity: i2 at 127.0.0.1:8002 × 1";
  assert.equal((await tell(phrase`set server b001/i1 state maint`)).filter((line) => line.endsWith(alone)).length, 3);
});

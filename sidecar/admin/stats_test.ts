import assert from "node:assert/strict";
import fc from "fast-check";
import { Instance_Status, ServiceSpec_Protocol } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Service } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { assign } from "../routing/assign.ts";
import { EMPTY_PLAN, type HaproxyPlan } from "../routing/plan.ts";
import { instance, service, wantedOf } from "../testing/maps.ts";
import { AT, type Figure, FIGURES, type StatRow } from "./stat_rows.ts";
import { statsOf } from "./stats.ts";

type Init = Partial<Record<Figure, number>>;

function row(of: StatRow["of"], proxy: string, name: string, init: Init): StatRow {
  const figures = new Array<number>(FIGURES.length).fill(0);
  for (const [figure, value] of Object.entries(init)) figures[AT[figure as Figure]] = value;
  return { of, proxy, name, figures };
}

function routed(...services: readonly Service[]) {
  return {
    plan: assign(wantedOf(...services), EMPTY_PLAN),
    services: new Map(services.map((one) => [one.name, one])),
    isEjected: () => false,
  };
}

function slotOf(plan: Pick<HaproxyPlan, "backends">, pool: number | "all"): string {
  return [...plan.backends.values()].find((backend) => backend.pool === pool)?.slot ?? assert.fail();
}

Deno.test("statsOf() sums an instance over the backends that it is in, and weighs its mean times by requests", () => {
  const running = routed(service("identity", { instances: [instance("i1"), instance("i2", { version: 2 })] }));
  const [all, one, two] = (["all", 1, 2] as const).map((pool) => slotOf(running.plan, pool));
  const { services } = statsOf([
    row("server", all ?? "", "i1", { stot: 30, wredis: 2, rtime: 10, rtime_max: 40, hrsp_2xx: 28, scur: 1, bout: 100 }),
    row("server", one ?? "", "i1", { stot: 14, wretr: 2, rtime: 20, rtime_max: 30, hrsp_5xx: 12, qcur: 2, econ: 1 }),
    row("server", two ?? "", "i2", { stot: 20, rtime: 1, rtime_max: 99, ctime: 3, eresp: 4 }),
    row("server", "b999", "i1", { stot: 1_000 }),
    row("backend", one ?? "", "i1", { stot: 1_000 }),
  ], running);
  assert.deepEqual(services.map((one) => one.service), ["identity"]);
  const [identity] = services;
  assert.deepEqual(identity?.versions.map(({ version }) => version), [1, 2]);
  const [v1] = identity?.versions ?? [];
  const [i1] = v1?.instances ?? [];
  assert.deepEqual(i1, {
    ...{ instance: "i1", host: "127.0.0.1", port: 8049, state: "ready", weight: 100, share: 10_000 },
    ...{ current: 1, queued: 2, requests: 40, connectErrors: 1, responseErrors: 0, retries: 2, redispatches: 2 },
    statuses: { "1xx": 0, "2xx": 28, "3xx": 0, "4xx": 0, "5xx": 12 },
    ...{ bytesIn: 0, bytesOut: 100 },
    ...{ queueMs: { mean: 0, max: 0 }, connectMs: { mean: 0, max: 0 }, totalMs: { mean: 0, max: 0 } },
    responseMs: { mean: 13, max: 40 },
  });
  assert.equal(v1?.requests, 40);
  assert.deepEqual([identity?.requests, identity?.responseErrors], [60, 4]);
  assert.deepEqual(identity?.responseMs, { mean: 9, max: 99 });
  assert.deepEqual(identity?.connectMs, { mean: 1, max: 0 });
});

Deno.test("statsOf() says in what state each instance is, and what share of new requests it gets", () => {
  const instances = [
    instance("ready", { weight: 50 }),
    instance("heavy", { weight: 100 }),
    instance("drains", { draining: true }),
    instance("off", { enabled: false }),
    instance("fails", { status: Instance_Status.FAILING }),
    instance("out"),
    instance("goes"),
  ];
  const before = routed(service("identity", { instances }));
  const now = service("identity", { instances: instances.slice(0, -1) });
  const plan = assign(
    new Map([...wantedOf(now)].map(([name, wanted]) => {
      // As if it was ejected when this was rendered.
      const pools = [...wanted.pools].map(([pool, servers]) => {
        const out = servers.get("out") ?? assert.fail();
        return [pool, new Map([...servers, ["out", { ...out, state: "maintenance" as const }]])] as const;
      });
      return [name, { ...wanted, pools: new Map(pools) }];
    })),
    before.plan,
  );
  const { services: [identity] } = statsOf([], {
    plan,
    services: new Map([["identity", now]]),
    isEjected: (name, id) => name === "identity" && ["out", "ready", "goes"].includes(id),
  });
  const seen = identity?.versions.flatMap(({ instances }) =>
    instances.map((one) => [one.instance, one.state, one.weight, one.share])
  );
  assert.deepEqual(seen, [
    ["drains", "draining", 100, 0],
    ["fails", "maintenance", 100, 0],
    ["goes", "leaving", null, 0],
    ["heavy", "ready", 100, 6_667],
    ["off", "maintenance", 100, 0],
    ["out", "ejected", 100, 0],
    ["ready", "ready", 50, 3_333],
  ]);
});

Deno.test("statsOf() takes an instance that is used in one backend for one that is used", () => {
  const running = routed(service("identity", { instances: [instance("i1"), instance("i2", { version: 2 })] }));
  for (const unused of ["all", 2] as const) {
    const backends = [...running.plan.backends].map(([slot, backend]) => {
      const i2 = backend.servers.get("i2");
      const servers = i2 && backend.pool === unused
        ? new Map([...backend.servers, ["i2", { ...i2, state: "maintenance" as const }]])
        : backend.servers;
      return [slot, { ...backend, servers }] as const;
    });
    const { services: [identity] } = statsOf([], {
      ...running,
      plan: { backends: new Map(backends) },
      isEjected: () => true,
    });
    const [, v2] = identity?.versions ?? [];
    assert.deepEqual(v2?.instances.map(({ state, share }) => [state, share]), [["ready", 10_000]], `${unused}`);
  }
});

Deno.test("statsOf() knows the versions of instances, also of those that the map does not have any more", () => {
  const spec = { protocol: ServiceSpec_Protocol.TCP, localPort: 5_432 };
  const bytes = service("bytes", { instances: [instance("t1", { version: 3 }), instance("t2", { version: 1 })], spec });
  const running = routed(bytes);
  const versions = (services: ReadonlyMap<string, Service>) =>
    statsOf([], { ...running, services }).services[0]?.versions.map(({ version, instances }) => [
      version,
      ...instances.map((one) => one.instance),
    ]);
  assert.deepEqual(versions(running.services), [[1, "t2"], [3, "t1"]]);
  const gone = service("bytes", { instances: [instance("t1", { version: 3 })], spec });
  assert.deepEqual(versions(new Map([["bytes", gone]])), [[1, "t2"], [3, "t1"]]);
});

Deno.test("statsOf() counts what was answered without an instance", () => {
  const { own } = statsOf([
    row("frontend", "egress", "FRONTEND", { ereq: 1, intercepted: 2, stot: 50 }),
    row("frontend", "local.identity", "FRONTEND", { intercepted: 4, dreq: 3 }),
    row("backend", "no_service", "BACKEND", { stot: 7 }),
    row("backend", "no_instances", "BACKEND", { stot: 8 }),
    row("backend", "tcp_only", "BACKEND", { stot: 9 }),
    row("backend", "relay", "BACKEND", { stot: 10 }),
  ], routed());
  assert.deepEqual(own, { noService: 7, noInstances: 11, tcpOnly: 9, badRequests: 7 });
});

Deno.test("statsOf() loses and doubles nothing: instances add up to their version, versions to their service", () => {
  const figures = fc.record({ stot: fc.nat(1_000), wredis: fc.nat(9), rtime: fc.nat(99), hrsp_2xx: fc.nat(1_000) });
  const ids = fc.uniqueArray(fc.constantFrom("i1", "i2", "i3", "i4", "i5"), { minLength: 1 });
  fc.assert(
    fc.property(ids, fc.infiniteStream(fc.integer({ min: 1, max: 3 })), fc.infiniteStream(figures), (all, v, f) => {
      const instances = all.map((id) => instance(id, { version: v.next().value }));
      const running = routed(service("identity", { instances }));
      const rows = [...running.plan.backends.values()].flatMap(({ slot, servers }) =>
        [...servers.keys()].map((name) => row("server", slot, name, f.next().value))
      );
      const { services: [identity] } = statsOf(rows, running);
      const versions = identity?.versions ?? [];
      const found = versions.flatMap((one) => one.instances);
      assert.deepEqual(found.map((one) => one.instance).sort(), [...all].sort());
      const total = (list: readonly { requests: number; statuses: { "2xx": number } }[]) =>
        list.reduce(([a = 0, b = 0], { requests, statuses }) => [a + requests, b + statuses["2xx"]], [0, 0]);
      assert.equal(total(found)[1], rows.reduce((sum, { figures }) => sum + (figures[AT.hrsp_2xx] ?? 0), 0));
      assert.deepEqual(total(versions), total(found));
      for (const one of versions) assert.deepEqual(total([one]), total(one.instances));
      assert.deepEqual(identity && total([identity]), total(found));
      const means = found.map((one) => one.responseMs.mean);
      const mean = identity?.responseMs.mean ?? NaN;
      assert.ok(mean <= Math.max(...means) + 0.1);
    }),
  );
});

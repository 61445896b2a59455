import assert from "node:assert/strict";
import {
  Instance_Status,
  ServiceSpec_Balancer as Balancer,
  ServiceSpec_Protocol as Protocol,
} from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { errorFile, errorFileName, PROXY_ANSWERS } from "./answers.ts";
import { assign } from "../routing/assign.ts";
import { CONFIG_FILE, ROUTES_FILE } from "./names.ts";
import { TIMEOUTS } from "./print_base.ts";
import { EMPTY_PLAN, type HaproxyPlan } from "../routing/plan.ts";
import { print } from "./print.ts";
import { instance, service, wantedOf } from "../testing/maps.ts";

const SETTINGS = { realm: "local", egress: { host: "127.0.0.1", port: 7410 }, timeouts: TIMEOUTS };

const two = service("identity", {
  instances: [
    instance("i1", { version: 41 }),
    instance("i2", { version: 42, host: "::1", weight: 0 }),
    instance("i3", { version: 42, enabled: false }),
  ],
  aliases: { live: { split: { 41: 9000, 42: 1000 }, stickyHeader: "x-user" }, canary: 42, old: 7 },
});

const GOLDEN: Record<string, () => HaproxyPlan> = {
  "empty": () => EMPTY_PLAN,
  "one": () => assign(wantedOf(service("identity", { instances: [instance("i1"), instance("i2")] })), EMPTY_PLAN),
  "split": () => assign(wantedOf(two, service("teams", {})), EMPTY_PLAN),
  "failing": () =>
    assign(
      wantedOf(
        service("identity", { instances: [instance("i1"), instance("i2", { status: Instance_Status.FAILING })] }),
        service("off", { enabled: false, instances: [instance("o1")] }),
      ),
      EMPTY_PLAN,
    ),
  "draining": () =>
    assign(
      wantedOf(
        service("identity", { instances: [instance("i1"), instance("i2", { draining: true })] }),
        service("leaving", { instances: [instance("l1", { draining: true, version: 7 })], aliases: { live: 7 } }),
      ),
      EMPTY_PLAN,
    ),
  "forms": () =>
    assign(
      wantedOf(
        service("db", { instances: [instance("d1")], spec: { protocol: Protocol.TCP, localPort: 5432 } }),
        service("greeter", { instances: [instance("g1")], spec: { protocol: Protocol.H2C, localPort: 8081 } }),
        service("cache", {
          instances: [instance("c1", { weight: 50 }), instance("c2")],
          aliases: { live: 1 },
          spec: {
            balancer: Balancer.RING_HASH,
            policy: { timeoutMs: 2_000 },
            limits: { maxConnections: 10, maxQueue: 20 },
          },
        }),
        service("turn", {
          instances: [instance("t1")],
          aliases: { live: 1 },
          spec: { balancer: Balancer.ROUND_ROBIN },
        }),
      ),
      EMPTY_PLAN,
      { spares: 2 },
    ),
};

for (const [name, plan] of Object.entries(GOLDEN)) {
  Deno.test(`print() writes testdata/${name}.cfg, which HAProxy accepts`, async () => {
    const { config, routes } = print(plan(), SETTINGS, { generation: 1 });
    for (const [end, { text }] of [["cfg", config], ["map", routes]] as const) {
      const golden = new URL(`testdata/${name}.${end}`, import.meta.url);
      if (Deno.env.get("UPDATE_GOLDEN")) await Deno.writeTextFile(golden, text);
      assert.equal(text, await Deno.readTextFile(golden), `${golden.pathname} differs: UPDATE_GOLDEN=1 takes it over`);
    }
    const dir = await Deno.makeTempDir();
    try {
      await Deno.mkdir(`${dir}/errors`);
      for (const answer of PROXY_ANSWERS) {
        await Deno.writeTextFile(`${dir}/${errorFileName(answer)}`, errorFile(answer));
      }
      await Deno.writeTextFile(`${dir}/${CONFIG_FILE}`, config.text);
      await Deno.writeTextFile(`${dir}/${ROUTES_FILE}`, routes.text);
      const check = await new Deno.Command("haproxy", { args: ["-c", "-f", CONFIG_FILE], cwd: dir }).output();
      const said = new TextDecoder().decode(check.stderr);
      assert.ok(check.success, said);
      assert.ok(!said.includes("[WARNING]"), said);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

Deno.test("print() says what is new, whatever it has printed last", () => {
  const said = (listeners: HaproxyPlan["listeners"], generation: number) => {
    const { text } = print({ ...EMPTY_PLAN, listeners }, SETTINGS, { generation }).config;
    return [text.includes("frontend local.orders "), text.includes(`worker-${generation}.sock`)];
  };
  const orders: HaproxyPlan["listeners"] = new Map([[7_500, { service: "orders", speaks: "http" }]]);
  assert.deepEqual(said(EMPTY_PLAN.listeners, 1), [false, true]);
  assert.deepEqual(said(orders, 1), [true, true]);
  assert.deepEqual(said(orders, 2), [true, true]);
  assert.deepEqual(said(EMPTY_PLAN.listeners, 2), [false, true]);
});

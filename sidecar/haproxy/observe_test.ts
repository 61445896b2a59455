import assert from "node:assert/strict";
import { instance, service } from "../testing/maps.ts";
import { openKeeper } from "./testing/keeper.ts";
import { planOf } from "./testing/plans.ts";
import { diff } from "../routing/diff.ts";
import { assign } from "../routing/assign.ts";
import { wantedOf } from "../testing/maps.ts";
import type { HaproxyPlan } from "../routing/plan.ts";
import { NO_INSTANCES } from "../routing/plan.ts";
import { CommandSocket } from "./command_socket.ts";
import type { Observed } from "./observe.ts";
import { line, phrase } from "../config/text.ts";

Deno.test("observe() tells what a worker was started with, and what it was told since", async () => {
  await using keeper = await openKeeper();
  const i1 = instance("i1", { host: "127.0.0.1", port: 8001 });
  const i2 = instance("i2", { host: "2001:db8::1", port: 65_535, weight: 7 });
  const before = planOf([
    service("identity", { instances: [i1, i2, instance("off", { enabled: false })] }),
    service("teams", { instances: [i1] }),
  ]);
  await keeper.haproxy.start((generation) => keeper.print(before, generation));
  assert.deepEqual(await keeper.haproxy.observe(), observedOf(before));

  const next = assign(
    wantedOf(
      service("identity", {
        instances: [
          { ...i1, host: "::1" },
          { ...i2, enabled: false },
          instance("i3", { host: "::ffff:10.0.0.1", weight: 3 }),
          instance("i4", { enabled: false }),
        ],
      }),
      service("teams", { instances: [{ ...i1, draining: true }] }),
    ),
    before,
  );
  const transition = diff(before, next);
  assert.equal(transition.kind, "runtime");
  await keeper.haproxy.update((generation) => keeper.print(next, generation), commandsOf(transition));
  const observed = await keeper.haproxy.observe();
  assert.deepEqual(observed, observedOf(next));
  assert.ok([...observed.routes.values()].includes(NO_INSTANCES));
});

Deno.test("observe() takes a server that drains for ready, and sees no rows that are not committed", async () => {
  await using keeper = await openKeeper();
  const plan = planOf([service("identity", { instances: [instance("i1")] })]);
  await keeper.haproxy.start((generation) => keeper.print(plan, generation));
  using socket = await CommandSocket.open(keeper.data.workerSocket(1));
  await socket.ask(phrase`set server b001/i1 state drain`);
  assert.match(await socket.ask(phrase`prepare map routes.map`), /^New version created: 1$/);
  await socket.ask(phrase`add map @1 routes.map`, line`other/1 b001`);
  assert.deepEqual(await keeper.haproxy.observe(), observedOf(plan));
});

Deno.test("observe() reads 10 000 servers and 10 000 rows", async () => {
  await using keeper = await openKeeper();
  const services = Array.from(
    { length: 1_000 },
    (_, at) =>
      service(`s${at}`, {
        instances: Array.from({ length: 10 }, (_, of) => instance(`i${of}`)),
        aliases: Object.fromEntries(
          ["live", ...Array.from({ length: 9 }, (_, of) => `a${of}`)].map((name) => [name, 1]),
        ),
      }),
  );
  const plan = planOf(services);
  assert.ok(plan.routes.size > 10_000);
  await keeper.haproxy.start((generation) => keeper.print(plan, generation));
  const observed = await keeper.haproxy.observe();
  assert.deepEqual(observed, observedOf(plan));
});

/** What a worker shows that runs a plan. */
function observedOf({ backends, routes }: HaproxyPlan): Observed {
  const servers = [...backends].map(([slot, { servers }]) => {
    const shown = [...servers].map(([name, server]) => {
      const state = server.state === "ready" ? "ready" : "maintenance";
      return [name, { ...server, state }] as const;
    });
    return [slot, new Map(shown)] as const;
  });
  return { servers: new Map(servers.filter(([, held]) => held.size > 0)), routes };
}

function commandsOf(transition: ReturnType<typeof diff>) {
  return transition.kind === "runtime" ? transition.commands : assert.fail(transition.kind);
}

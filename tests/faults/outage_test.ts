import assert from "node:assert/strict";
import { stablePort } from "../scenario/testing/stable_port.ts";
import { now } from "../traffic/clock.ts";
import { judge, type Problem } from "../traffic/oracle.ts";
import { assertExcused, Prober } from "./outage.ts";

Deno.test("Prober tells since when it is answered with 200, and what was not since it first was", async () => {
  const port = stablePort();
  let status = 503;
  const serve = () => Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, () => new Response("x", { status }));
  await using prober = new Prober(port, "identity");
  const first = prober.back();
  await until(() => prober.failed.length > 0);
  let server = serve();
  const failed = prober.failed.length;
  await until(() => prober.failed.length > failed + 1);
  assert.deepEqual(prober.failedSinceServed, []);
  const before = now();
  status = 200;
  assert.ok(await first >= before);
  assert.equal(await prober.back(), await first);
  assert.deepEqual(prober.failedSinceServed, []);

  await server.shutdown();
  const second = prober.back();
  await until(() => prober.failedSinceServed.length > 1);
  const from = now();
  server = serve();
  assert.ok(await second >= from);
  for (const { from, to } of prober.failed) assert.ok(from <= to && to <= now());
  await server.shutdown();
});

Deno.test("assertExcused() excuses requests that failed while nobody served, and nothing else", () => {
  const outages = [{ from: 1_000, to: 1_100 }];
  const figures = (...problems: readonly Problem[]) => {
    const counted = assertExcused({ ...judge(NOTHING_SENT, NOTHING_ARRIVED), problems }, outages);
    return counted.map(({ value }) => value);
  };
  assert.deepEqual(figures(), [0, 0, 0]);
  const excused = [
    problem({ at: 990, tookMs: 11 }),
    problem({ at: 1_050, tookMs: 1, outcome: "refused" }),
    problem({ at: 1_099, tookMs: 1, outcome: "refused" }),
  ];
  assert.deepEqual(figures(...excused), [2, 1, 0]);
  const others = [
    problem({ at: 980, tookMs: 10 }),
    problem({ at: 1_101, tookMs: 1, outcome: "refused" }),
    problem({ at: 1_050, tookMs: 10_000, outcome: "timeout" }),
    problem({ at: 1_050, tookMs: 1 }, "doubled"),
    problem({ at: 1_050, tookMs: 1 }, "misrouted"),
  ];
  for (const one of others) assert.throws(() => figures(...excused, one), assert.AssertionError);
});

function problem(request: Partial<Problem["request"]>, what: Problem["what"] = "failed"): Problem {
  const whole = { id: 1, kind: "kept", service: "identity", outcome: "eof", detail: "", at: 0, tookMs: 0 } as const;
  return { what, request: { ...whole, ...request }, instances: [] };
}

const NOTHING_SENT = {
  ...{ base: 0, origin: 0, services: [], outcomes: [], kind: [], service: [], at: [], outcome: [], took: [] },
  ...{ resent: [], details: [] },
};
const NOTHING_ARRIVED = { origin: 0, instances: [], id: [], at: [], instance: [], connection: [] };

async function until(is: () => boolean): Promise<void> {
  while (!is()) await new Promise((resolve) => setTimeout(resolve, 1));
}

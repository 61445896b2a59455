import assert from "node:assert/strict";
import { seedOfRun } from "../faults/seed.ts";
import { now } from "./clock.ts";
import { KINDS } from "./ledger.ts";
import { LittleHaproxy, type LittleOptions } from "./little_haproxy.ts";
import { type Receivers, startReceivers } from "./receivers.ts";
import { startTraffic, type TrafficOptions } from "./traffic.ts";

const seed = seedOfRun();

/** Two instances of `identity`, one of `orders`, one of `greeter`, which is gRPC, and a HAProxy that leads to them. */
async function start(options: LittleOptions = {}) {
  await using used = new AsyncDisposableStack();
  const receivers = used.use(
    await startReceivers([
      { id: "i1", service: "identity" },
      { id: "i2", service: "identity" },
      { id: "o1", service: "orders" },
      { id: "g1", service: "greeter", protocol: "grpc" },
    ]),
  );
  const haproxy = used.use(await LittleHaproxy.start({ ...routes(receivers), ...options }));
  const running = used.move();
  return {
    receivers,
    haproxy,
    traffic: async (more: Pick<TrafficOptions, "senders"> & Partial<TrafficOptions>) =>
      running.use(
        await startTraffic({
          port: haproxy.port,
          receivers,
          services: { http: ["identity"], grpc: ["greeter"] },
          seed,
          ...more,
        }),
      ),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function routes(receivers: Receivers) {
  const ports = (...ids: readonly string[]) => ids.map((id) => receivers.port(id));
  return { http: { identity: ports("i1", "i2"), orders: ports("o1") }, grpc: { greeter: ports("g1") } };
}

Deno.test("traffic of all kinds through a HAProxy that nobody touches: each request arrives once", async () => {
  await using site = await start();
  const senders = { kept: 4, new: 2, post: 2, h2c: 4, grpc: 2, slow: 2, stream: 2, websocket: 2, grpc_stream: 2 };
  await using traffic = await site.traffic({ senders, perSecond: 300, streamMs: 1_000 });
  await traffic.until(({ sent }) => sent > 300);
  await traffic.aim({ http: ["identity", "orders"] });
  await traffic.until(({ sent }) => sent > 900);
  const verdict = await traffic.stop();

  assert.deepEqual(verdict.problems, [], verdict.text);
  assert.equal(verdict.failed, 0);
  for (const kind of KINDS) assert.ok((verdict.kinds[kind]?.ok ?? 0) > 0, `${kind}\n${verdict.text}`);
  // What was asked for, and a little of what goes on for long.
  assert.ok(verdict.perSecond < 350, verdict.text);
  for (const id of ["i1", "i2", "o1", "g1"]) assert.ok(verdict.routedTo(id, 0).length > 0, id);
});

Deno.test("traffic finds nothing when HAProxy is reloaded as it should be", async () => {
  await using site = await start({ toServers: "keep" });
  const senders = { kept: 4, new: 1, post: 2, h2c: 2, grpc: 2, stream: 1, websocket: 1, grpc_stream: 1 };
  await using traffic = await site.traffic({ senders });
  for (let n = 1; n <= 3; n++) {
    await traffic.until(({ sent }) => sent > 300 * n);
    await site.haproxy.reload();
  }
  const { sent } = await traffic.counts();
  await traffic.until((counts) => counts.sent > sent + 100);
  const verdict = await traffic.stop();
  assert.deepEqual(verdict.problems, [], verdict.text);
});

Deno.test("traffic finds requests that meet the end of a kept connection, when reloads cut those", async () => {
  await using site = await start({ idleClose: false });
  await using traffic = await site.traffic({ senders: { kept: 8, post: 4 } });
  const isCaught = async () => ((await traffic.counts()).outcomes["eof_idle"] ?? 0) > 0;
  for (let n = 0; n < 50 && !await isCaught(); n++) await site.haproxy.reload();
  const { problems, text } = await traffic.stop();
  assert.ok(problems.some(({ what, request }) => what === "failed" && request.outcome === "eof_idle"), text);
});

Deno.test("traffic finds a HAProxy that was killed, and when it served again", async () => {
  await using site = await start();
  const senders = { kept: 2, new: 2, h2c: 2, grpc: 2, stream: 1, websocket: 1, grpc_stream: 1 };
  await using traffic = await site.traffic({ senders });
  await traffic.until(({ outcomes: { ok = 0 } }) => ok > 200);
  const killed = now();
  await site.haproxy.kill();
  await traffic.until(({ outcomes: { refused = 0 } }) => refused > 0);
  await site.haproxy.revive();
  const revived = now();
  const { outcomes: { ok: before = 0 } } = await traffic.counts();
  await traffic.until(({ outcomes: { ok = 0 } }) => ok > before + 200);
  const verdict = await traffic.stop();

  const { problems, kinds, text } = verdict;
  assert.ok(problems.every(({ what }) => what === "failed"), text);
  for (const kind of Object.keys(senders)) {
    assert.ok((kinds[kind as keyof typeof senders]?.failed ?? 0) > 0, kind + text);
  }
  const again = verdict.okSince(killed + 1) ?? Infinity;
  assert.ok(again > killed && again < revived + 1_000, text);
  assert.ok(problems.some(({ request }) => request.outcome === "truncated" && request.kind === "stream"), text);
});

Deno.test("traffic finds each answer that breaks off", async () => {
  await using site = await start();
  await using traffic = await site.traffic({ senders: { kept: 2, post: 1, h2c: 2 } });
  await site.receivers.drop("i1", 7);
  await traffic.until(({ sent }) => sent > 200);
  const { problems, text } = await traffic.stop();
  assert.equal(problems.length, 7, text);
  for (const { what, request: { outcome }, instances } of problems) {
    assert.deepEqual([what, outcome, instances], ["failed", "truncated", ["i1"]], text);
  }
});

Deno.test("traffic finds who answers for another service", async () => {
  await using site = await start();
  const { http, grpc } = routes(site.receivers);
  await site.haproxy.reload({ http: { ...http, identity: [...http.identity, ...http.orders] }, grpc });
  await using traffic = await site.traffic({ senders: { kept: 2, new: 1, h2c: 2 } });
  await traffic.until(({ sent }) => sent > 60);
  const { problems, text } = await traffic.stop();
  assert.ok(problems.length > 0, text);
  for (const { what, request: { outcome }, instances } of problems) {
    assert.deepEqual([outcome, instances], ["wrong_answer", ["o1"]], text);
    assert.ok(what === "failed" || what === "misrouted", text);
  }
});

Deno.test("traffic tells who was still routed to an instance, and who was not any more", async () => {
  await using site = await start();
  await using traffic = await site.traffic({ senders: { kept: 4, new: 2, h2c: 2 } });
  await traffic.until(({ sent }) => sent > 100);
  const { http, grpc } = routes(site.receivers);
  const before = now();
  await site.haproxy.reload({ http: { ...http, identity: [site.receivers.port("i1")] }, grpc });
  // Kept connections have to be done with the worker that was replaced.
  const { sent } = await traffic.counts();
  await traffic.until((counts) => counts.sent > sent + 100);
  const after = now();
  await site.receivers.stop("i2");
  await traffic.until((counts) => counts.sent > sent + 300);
  const verdict = await traffic.stop();

  assert.deepEqual(verdict.problems, [], verdict.text);
  assert.ok(verdict.routedTo("i2", 0, before).length > 0);
  assert.deepEqual(verdict.routedTo("i2", after), []);
  assert.ok(verdict.routedTo("i1", after).length > 0);
});

Deno.test("traffic says what it cannot do, and leaves nothing running", async () => {
  await using receivers = await startReceivers([{ id: "i1", service: "identity" }]);
  const start = { port: receivers.port("i1"), receivers, seed, senders: { kept: 1, grpc: 1 } };
  const no = /Cannot send requests of kind "grpc": no service for them is named/;
  await assert.rejects(startTraffic({ ...start, services: { http: ["identity"] } }), no);
  await using traffic = await startTraffic({ ...start, services: { http: ["identity"], grpc: ["identity"] } });
  await assert.rejects(traffic.aim({ grpc: [] }), no);
});

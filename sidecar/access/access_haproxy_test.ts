import assert from "node:assert/strict";
import { ServiceSpec_Balancer, ServiceSpec_Protocol } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { turn } from "../../proto/testing/turn.ts";
import { Caller, get } from "../testing/caller.ts";
import { Hearing } from "../testing/hearing.ts";
import { instance, service } from "../testing/maps.ts";
import { freePort, type Rig, startBackend, startEcho, startRig } from "../testing/rig.ts";
import { accessLine } from "./access_line.ts";
import { targetOf } from "./target.ts";

type Line = Readonly<Record<string, unknown>>;

/** The next access line, checked for the parts that are given; answers with all of it. */
async function expectLine(rig: Rig, hearing: Hearing, parts: Line): Promise<Line> {
  const ended = await hearing.next();
  const line: Line = JSON.parse(accessLine(ended, targetOf(ended, rig.reconciler.routed)));
  assert.deepEqual(Object.fromEntries(Object.keys(parts).map((key) => [key, line[key]])), parts, JSON.stringify(line));
  return line;
}

/** An instance that says this to whoever calls, and hangs up. */
function startRude(answer: string): AsyncDisposable & { readonly port: number } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serve = async () => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(4_096));
      await connection.write(new TextEncoder().encode(answer));
      connection.close();
    }
  };
  const served = serve();
  return { port: listener.addr.port, [Symbol.asyncDispose]: () => (listener.close(), served) };
}

Deno.test("HAProxy tells of each request that an instance answered, when it has ended", async () => {
  await using backend = startBackend("one", (request) => {
    if (request.headers.get("upgrade") === "websocket") return Deno.upgradeWebSocket(request).response;
    const { pathname } = new URL(request.url);
    if (pathname === "/later") return new Response("", { status: 503, headers: { "retry-after": "1" } });
    return new Response(pathname === "/big" ? "x".repeat(20_000_000) : "one");
  });
  await using rig = await startRig();
  await using hearing = await Hearing.in(rig.data.path);
  const live = { split: { 1: 1, 2: 9_999 } };
  const instances = [instance("i1", { port: backend.port }), instance("i2", { port: backend.port, version: 2 })];
  await rig.map.change(service("identity", { instances, aliases: { canary: 2, live } }));
  const to = (name: string, ...more: string[]) => [`Portolan-Service: ${name}`, ...more] as const;

  const begun = Date.now();
  const headers = to("canary.identity", "Portolan-Flow: f-1", "Portolan-Call: c-1", "Portolan-Attempt: 2");
  await get(rig.port, "/teams/7?secret=1", ...headers);
  const { time, queueMs, connectMs, responseMs, totalMs, ...line } = await expectLine(rig, hearing, {});
  assert.ok(Math.abs(Date.parse(String(time)) - begun) < 60_000, String(time));
  for (const ms of [queueMs, connectMs, responseMs, totalMs]) {
    assert.ok(Number(ms) >= 0 && Number(ms) < 60_000, `${ms}`);
  }
  assert.deepEqual(line, {
    ...{ kind: "request", listener: "egress", flow: "f-1", call: "c-1", attempt: 3, method: "GET", path: "/teams/7" },
    ...{ route: "canary.identity", service: "identity", version: 2, instance: "i2", status: 200, termination: "--" },
    ...{ retries: 0, bytesIn: line["bytesIn"], bytesOut: line["bytesOut"] },
  });
  assert.ok(Number(line["bytesIn"]) > 100 && Number(line["bytesOut"]) > 100);

  await get(rig.port, "/", ...to("v1.identity"));
  const minted = await expectLine(rig, hearing, { version: 1, instance: "i1", attempt: 1, call: undefined });
  assert.match(String(minted["flow"]), /^[0-9a-f-]{36}$/);
  await get(rig.port, "/later", ...to("v1.identity"));
  await expectLine(rig, hearing, { status: 503, error: undefined, termination: "--" });

  const upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
  const socket = await Caller.connect(rig.port);
  const { status } = await socket.get(
    "/ws",
    ...to("v1.identity"),
    ...upgrade,
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  );
  assert.equal(status, 101);
  await get(rig.port, "/meanwhile", ...to("v1.identity"));
  await expectLine(rig, hearing, { path: "/meanwhile" });
  socket[Symbol.dispose]();
  await expectLine(rig, hearing, { path: "/ws", status: 101, instance: "i1", version: 1, error: undefined });

  const hasty = await Caller.connect(rig.port);
  await hasty.send("GET /big HTTP/1.1\r\nHost: x\r\nPortolan-Service: v1.identity\r\n\r\n");
  while (backend.requests.at(-1)?.url.endsWith("/big") !== true) await turn();
  hasty[Symbol.dispose]();
  const { termination } = await expectLine(rig, hearing, { path: "/big", status: 200, error: undefined });
  assert.match(String(termination), /^C/);
});

Deno.test("HAProxy tells of each request that no instance answered as it should, and why", async () => {
  await using good = startBackend("good", ({ url }) => url.endsWith("/slow") ? new Promise(() => {}) : new Response());
  await using mute = startRude("");
  await using odd = startRude("nonsense\r\n\r\n");
  await using short = startRude("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
  await using rig = await startRig();
  await using hearing = await Hearing.in(rig.data.path);
  const [dead, port] = [freePort(), freePort()];
  await rig.map.change(
    service("good", { instances: [instance("g1", { port: good.port })], aliases: { canary: 7 } }),
    service("dead", { instances: [instance("d1", { port: dead }), instance("d2", { port: dead })] }),
    service("mute", { instances: [instance("m1", { port: mute.port })] }),
    service("odd", { instances: [instance("o1", { port: odd.port })] }),
    service("short", { instances: [instance("s1", { port: short.port })] }),
    service("bytes", {
      instances: [instance("t1", { port: dead })],
      spec: { protocol: ServiceSpec_Protocol.TCP, localPort: port },
    }),
  );
  const expectAnswer = async (name: string, parts: Line, more: readonly string[] = [], path = "/") => {
    const { status, headers } = await get(rig.port, path, ...(name ? [`Portolan-Service: ${name}`] : []), ...more);
    assert.deepEqual([status, headers.get("portolan-error")], [parts["status"], parts["error"]]);
    return await expectLine(rig, hearing, { path, ...parts });
  };
  const nobody = { instance: undefined, version: undefined };
  await expectAnswer("nobody", { status: 404, error: "no_service", route: "nobody", service: undefined, ...nobody });
  await expectAnswer("canary.good", { status: 503, error: "no_instances", service: "good", ...nobody });
  await expectAnswer("bytes", { status: 400, error: "bad_request", service: "bytes", ...nobody });
  await expectAnswer("NOBODY", { status: 400, error: "bad_request", service: undefined, ...nobody });
  await expectAnswer("", { status: 400, error: "bad_request", route: undefined, ...nobody });
  const refused = await expectAnswer("dead", {
    status: 503,
    error: "connect",
    service: "dead",
    version: 1,
    retries: 2,
  });
  assert.match(String(refused["instance"]), /^d[12]$/, "the last that was tried");
  await expectAnswer("mute", { status: 502, error: "bad_response", instance: "m1", version: 1, termination: "SH" });
  await expectAnswer("odd", { status: 502, error: "bad_response", instance: "o1", version: 1, termination: "PH" });
  const late = { status: 504, error: "timeout", instance: "g1", version: 1, termination: "sH", responseMs: undefined };
  const { totalMs } = await expectAnswer("good", late, ["Portolan-Timeout-Ms: 100"], "/slow");
  assert.ok(Number(totalMs) >= 100, `${totalMs} ms`);
  await assert.rejects(get(rig.port, "/", "Portolan-Service: short"), /abc/);
  await expectLine(rig, hearing, { status: 200, instance: "s1", error: undefined, termination: "SD" });
  using broken = await Caller.connect(rig.port);
  await broken.send("nonsense\r\n\r\n");
  await expectLine(rig, hearing, { status: 400, error: "bad_request", instance: undefined, termination: "PR" });
});

Deno.test("HAProxy tells how often a request had to go on to another instance", async () => {
  await using good = startBackend("good");
  await using rig = await startRig();
  await using hearing = await Hearing.in(rig.data.path);
  const instances = [instance("h1", { port: freePort() }), instance("h2", { port: good.port })];
  await rig.map.change(service("half", { instances, spec: { balancer: ServiceSpec_Balancer.ROUND_ROBIN } }));
  const retries: unknown[] = [];
  for (let at = 0; at < 4; at++) {
    assert.equal((await get(rig.port, "/", "Portolan-Service: half")).status, 200);
    retries.push((await expectLine(rig, hearing, { status: 200, instance: "h2", termination: "--" }))["retries"]);
  }
  assert.ok(retries.includes(1), String(retries));
});

Deno.test("HAProxy tells of each connection to a port of a service's own, with the bytes of both ways", async () => {
  await using echo = startEcho("hello");
  await using rig = await startRig();
  await using hearing = await Hearing.in(rig.data.path);
  const [port, empty] = [freePort(), freePort()];
  const tcp = (localPort: number) => ({ protocol: ServiceSpec_Protocol.TCP, localPort });
  const change = (enabled: boolean) =>
    rig.map.change(
      service("bytes", { instances: [instance("t1", { port: echo.port })], spec: tcp(port) }),
      service("empty", { instances: [instance("e1", { port: echo.port, enabled })], spec: tcp(empty) }),
    );
  await change(false);
  await get(port, "/", "Portolan-Service: identity").catch(() => {});
  const bytes = await expectLine(rig, hearing, {
    ...{ kind: "connection", listener: "local.bytes", service: "bytes", version: 1, instance: "t1" },
    ...{ status: undefined, route: undefined, error: undefined },
  });
  assert.ok(Number(bytes["bytesIn"]) > 40 && Number(bytes["bytesOut"]) >= 5, JSON.stringify(bytes));
  await assert.rejects(get(empty, "/"));
  await expectLine(rig, hearing, { kind: "connection", service: "empty", instance: undefined, termination: "PR" });
  // Of servers that go to maintenance and come back HAProxy speaks there too.
  await change(true);
  await change(false);
  await assert.rejects(get(empty, "/"));
  await expectLine(rig, hearing, { service: "empty", instance: undefined });
});

Deno.test("whatever callers send, one request is one line", async () => {
  await using backend = startBackend("one");
  await using rig = await startRig();
  await using hearing = await Hearing.in(rig.data.path);
  await rig.map.change(service("identity", { instances: [instance("i1", { port: backend.port })] }));
  const forged = '{"frontend":"egress","status":200,"path":"/forged"}';
  // One byte for each character: U+2028 and U+0085 as UTF-8, and what is none.
  const values = [
    'q"\\\\\\" \\n\\u000a end',
    `x","later":"1"}\n`.trim() + forged,
    "\u00e2\u0080\u00a8\u00e2\u0080\u00a9\u00c2\u0085\u007f\t",
    "\u00ff\u00fe\u00c0\u0080",
    "%0a%0d%{+Q}o %[src]",
    "x".repeat(10_000),
    '"'.repeat(10_000),
    "\\".repeat(10_000),
    "\u00ff".repeat(10_000),
    "\u00e2\u0080\u00a8".repeat(3_000),
  ];
  for (const [at, value] of values.entries()) {
    for (const header of ["Portolan-Flow", "Portolan-Call", "Portolan-Attempt"]) {
      const { status } = await get(rig.port, `/${at}`, "Portolan-Service: identity", `${header}: ${value}`);
      // A control character is no header to HAProxy; it knows no path of it then.
      const line = await expectLine(rig, hearing, {
        status,
        ...(status === 200 && { path: `/${at}`, instance: "i1" }),
      });
      assert.doesNotMatch(JSON.stringify(line), /forged.*forged/);
    }
  }
  for (const path of ["/" + "y".repeat(9_000), "/" + "%22".repeat(3_000), '/"\\<>', "/?" + "secret".repeat(1_000)]) {
    const { status } = await get(rig.port, path, "Portolan-Service: identity");
    const line = await expectLine(rig, hearing, { status });
    assert.ok(path.startsWith(String(line["path"])) && !String(line["path"]).includes("secret"), String(line["path"]));
  }
  await get(rig.port, "/last", "Portolan-Service: identity");
  await expectLine(rig, hearing, { path: "/last" });
});

Deno.test("what ends in an old worker is told as well, and who does not listen costs nothing but the lines", async () => {
  const gate = Promise.withResolvers<void>();
  await using backend = startBackend("one", async ({ url }) => {
    if (url.endsWith("/slow")) await gate.promise;
    return new Response("one");
  });
  await using rig = await startRig();
  const there = { instances: [instance("i1", { port: backend.port })] };
  await rig.map.change(service("identity", there));
  const ask = async (path: string) => (await get(rig.port, path, "Portolan-Service: identity")).status;
  assert.equal(await ask("/unheard"), 200);
  await using hearing = await Hearing.in(rig.data.path);
  const slow = ask("/slow");
  slow.catch(() => {});
  while (backend.requests.length < 2) await turn();
  await rig.map.change(service("other", there));
  assert.equal(rig.reconciler.reloads.count, 1);
  assert.equal(await ask("/new"), 200);
  // HAProxy writes its line after the answer: the first one may have been in time to be heard.
  const heard = await hearing.next();
  const { request } = heard.request?.path === "/unheard" ? await hearing.next() : heard;
  assert.equal(request?.path, "/new");
  gate.resolve();
  assert.equal(await slow, 200);
  assert.equal((await hearing.next()).request?.path, "/slow");
});

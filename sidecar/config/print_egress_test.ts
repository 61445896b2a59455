import assert from "node:assert/strict";
import { Caller, get, type Response } from "../testing/caller.ts";
import { instance, service } from "../testing/maps.ts";
import { freePort, startBackend, startRig } from "../testing/rig.ts";

Deno.test("the egress chooses a service by header, by host, by alias and by version", async () => {
  await using v1 = startBackend("v1");
  await using v2 = startBackend("v2");
  await using rig = await startRig();
  await rig.map.change(
    service("identity", {
      instances: [instance("i1", { port: v1.port }), instance("i2", { port: v2.port, version: 2 })],
      aliases: { live: 1, canary: 2 },
    }),
  );
  const goesTo: readonly (readonly [body: string, ...headers: string[]])[] = [
    ["v1", "Portolan-Service: identity"],
    ["v1", "portolan-service:  identity "],
    ["v1", "Portolan-Service: live.identity"],
    ["v2", "Portolan-Service: canary.identity"],
    ["v1", "Portolan-Service: v1.identity"],
    ["v2", "Portolan-Service: v2.identity"],
    ["v1", "Host: identity.portolan.localhost"],
    ["v1", "Host: Identity.Portolan.LOCALHOST:7410"],
    ["v2", "Host: canary.identity.portolan.localhost"],
    ["v2", "Host: v2.identity.portolan.localhost:7410"],
    ["v2", "Host: live.identity.portolan.localhost", "Portolan-Service: canary.identity"],
    ["v1", "Portolan-Service: identity", "Portolan-Realm: local"],
  ];
  for (const [body, ...headers] of goesTo) {
    const answer = await get(rig.port, "/teams/7?x=1", ...headers);
    assert.deepEqual([answer.status, answer.body], [200, body], headers.join());
  }
  assert.ok([...v1.requests, ...v2.requests].every(({ url }) => url.endsWith("/teams/7?x=1")));
});

Deno.test("the egress refuses what chooses no one service, realm and flow", async () => {
  await using one = startBackend("one");
  await using rig = await startRig();
  await rig.map.change(
    service("identity", { instances: [instance("i1", { port: one.port })], aliases: { canary: 1 } }),
  );
  const name = "Portolan-Service: identity";
  const bad: readonly (readonly string[])[] = [
    [],
    ["Host: identity.example.org"],
    ["Host: portolan.localhost"],
    ["Host: .portolan.localhost"],
    ["Host: a.b.identity.portolan.localhost"],
    ["Host: identity.portolan.localhost.org"],
    ["Portolan-Service:"],
    ["Portolan-Service: Identity"],
    ["Portolan-Service: identity " + "."],
    ["Portolan-Service: -identity"],
    ["Portolan-Service: identity, identity"],
    ["Portolan-Service: a.b.identity"],
    ["Portolan-Service: identity/1"],
    ["Portolan-Service: identity/10"],
    ["Portolan-Service: identity/1.identity"],
    ["Portolan-Service: v0.identity"],
    ["Portolan-Service: v01.identity"],
    ["Portolan-Service: v4294967296.identity"],
    ["Portolan-Service: v99999999999.identity"],
    [`Portolan-Service: ${"a".repeat(64)}`],
    ["Portolan-Service: identit\u00ff"],
    [name, name],
    [name, "Portolan-Service: canary.identity"],
    [name, "Portolan-Realm: production"],
    [name, "Portolan-Realm: Local"],
    [name, "Portolan-Realm: local", "Portolan-Realm: local"],
    [name, "Portolan-Flow: a", "Portolan-Flow: b"],
  ];
  for (const headers of bad) assertProblem(await get(rig.port, "/", ...headers), 400, "bad_request", headers.join());
  assert.equal(one.requests.length, 0);
});

Deno.test("the egress tells an unknown name from one that nobody can answer for", async () => {
  await using one = startBackend("one");
  await using rig = await startRig();
  await rig.map.change(
    service("identity", {
      instances: [
        instance("i1", { port: one.port }),
        instance("off", { port: one.port, version: 2, enabled: false }),
        instance("zero", { port: one.port, version: 3, weight: 0 }),
      ],
      aliases: { next: 7 },
    }),
    service("off", { enabled: false, instances: [instance("o1", { port: one.port })] }),
    service("bare", {}),
  );
  for (const name of ["nobody", "nobody.identity", "v7.identity", "canary.bare", "identity.bare"]) {
    assertProblem(await get(rig.port, "/", `Portolan-Service: ${name}`), 404, "no_service", name);
  }
  for (const name of ["v2.identity", "v3.identity", "next.identity", "off", "v1.off", "bare", "live.bare"]) {
    const answer = await get(rig.port, "/", `Portolan-Service: ${name}`);
    assertProblem(answer, 503, "no_instances", name);
    assert.equal(answer.headers.get("portolan-not-processed"), "1", name);
  }
  assert.equal(one.requests.length, 0);
});

Deno.test("the egress mints a flow where there is none, and carries one on", async () => {
  await using one = startBackend("one");
  await using rig = await startRig();
  await rig.map.change(service("identity", { instances: [instance("i1", { port: one.port })] }));
  using caller = await Caller.connect(rig.port);
  for (const flow of [[], [], ["Portolan-Flow:"], ["Portolan-Flow: checkout/7, b"]]) {
    await caller.get("/", "Portolan-Service: identity", ...flow);
  }
  const [first, second, third, carried] = one.requests.map(({ headers }) => headers.get("portolan-flow"));
  for (const minted of [first, second, third]) {
    assert.match(minted ?? "", /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  }
  assert.equal(new Set([first, second, third]).size, 3);
  assert.equal(carried, "checkout/7, b");
});

Deno.test("the egress answers for an instance that cannot be reached, does not answer, or answers nonsense", async () => {
  await using silent = startBackend("silent", () => new Promise(() => {}));
  using broken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const closing = (async () => {
    for await (const connection of broken) {
      await connection.read(new Uint8Array(1024));
      connection.close();
    }
  })();
  await using rig = await startRig({ timeouts: { connectMs: 50, answerMs: 200 } });
  await rig.map.change(
    service("gone", { instances: [instance("g1", { port: freePort() })] }),
    service("silent", { instances: [instance("s1", { port: silent.port })] }),
    service("broken", { instances: [instance("b1", { port: broken.addr.port })] }),
  );
  const unreachable = await get(rig.port, "/", "Portolan-Service: gone");
  assertProblem(unreachable, 503, "connect");
  assert.equal(unreachable.headers.get("portolan-not-processed"), "1");

  const late = await get(rig.port, "/", "Portolan-Service: silent");
  assertProblem(late, 504, "timeout");
  assert.equal(late.headers.get("portolan-not-processed"), undefined);

  const cut = await get(rig.port, "/", "Portolan-Service: broken");
  assertProblem(cut, 502, "bad_response");
  assert.equal(cut.headers.get("portolan-not-processed"), undefined);

  assert.equal(silent.requests.length, 1, "what an instance may have read is not sent again");
  broken.close();
  await closing.catch(() => {});
});

Deno.test("the egress tries another instance where one refuses connections", async () => {
  await using one = startBackend("one");
  await using rig = await startRig();
  await rig.map.change(
    service("identity", { instances: [instance("dead", { port: freePort() }), instance("i1", { port: one.port })] }),
  );
  for (let at = 0; at < 20; at++) {
    const answer = await get(rig.port, "/", "Portolan-Service: identity");
    assert.deepEqual([answer.status, answer.body], [200, "one"]);
  }
});

Deno.test("a service cannot speak for the sidecar", async () => {
  await using one = startBackend(
    "one",
    () =>
      new Response("x", { status: 503, headers: { "Portolan-Error": "no_instances", "Portolan-Not-Processed": "1" } }),
  );
  await using rig = await startRig();
  await rig.map.change(service("identity", { instances: [instance("i1", { port: one.port })] }));
  const answer = await get(rig.port, "/", "Portolan-Service: identity");
  assert.equal(answer.status, 503);
  assert.equal(answer.headers.get("portolan-error"), undefined);
  assert.equal(answer.headers.get("portolan-not-processed"), "1", "that it did no work a service may say itself");
});

function assertProblem(answer: Response, status: number, error: string, message = ""): void {
  assert.deepEqual([answer.status, answer.headers.get("portolan-error")], [status, error], message);
  assert.equal(answer.headers.get("content-type"), "application/problem+json", message);
  const problem = JSON.parse(answer.body);
  assert.deepEqual([problem.type, problem.status, problem.error], ["about:blank", status, error], message);
  assert.ok(problem.title && problem.detail && problem.code, message);
}

import assert from "node:assert/strict";
import { createFetch } from "./fetch.ts";

type Handler = (request: Request) => Response | Promise<Response>;

/** What stands where the sidecar would. */
async function withSidecar(handler: Handler, test: (origin: string) => Promise<void>): Promise<void> {
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, handler);
  await test(`http://127.0.0.1:${server.addr.port}`);
}

const echo: Handler = async (request) =>
  Response.json({
    method: request.method,
    url: new URL(request.url).pathname + new URL(request.url).search,
    headers: Object.fromEntries(request.headers),
    body: await request.text(),
  });

Deno.test("createFetch() names service, realm, flow and call, and no attempt on the first", async () => {
  await withSidecar(echo, async (sidecar) => {
    const call = createFetch({ sidecar, realm: "testing", timeoutMs: 5_000 });
    const response = await call("service://canary.identity/teams/7?x=1#top", {
      headers: {
        "Portolan-Service": "forged",
        "Portolan-Call": "forged",
        "Portolan-Attempt": "7",
        "Portolan-Timeout-Ms": "99999999",
        accept: "x/y",
      },
    });
    assert.equal(response.url, "service://canary.identity/teams/7?x=1");
    assert.equal(response.redirected, false);
    const { url, headers } = await response.json();
    assert.equal(url, "/teams/7?x=1");
    assert.equal(headers["portolan-service"], "canary.identity");
    assert.equal(headers["portolan-realm"], "testing");
    assert.equal(headers["accept"], "x/y");
    assert.match(headers["portolan-flow"], /^[0-9a-f-]{36}$/);
    assert.match(headers["portolan-call"], /^[0-9a-f-]{36}$/);
    assert.equal(headers["portolan-attempt"], undefined);
    assert.ok(Number(headers["portolan-timeout-ms"]) <= 5_000 && Number(headers["portolan-timeout-ms"]) > 0);

    const carried = await (await call("service://live.identity", { headers: { "portolan-flow": "f-1" } })).json();
    assert.equal(carried.headers["portolan-flow"], "f-1");
    assert.equal(carried.headers["portolan-service"], "identity");
    assert.equal(carried.url, "/");
    const plain = await (await createFetch({ sidecar })("service://identity/")).json();
    assert.equal(plain.headers["portolan-timeout-ms"], undefined);
    assert.equal(plain.headers["portolan-realm"], undefined);
    assert.notEqual(plain.headers["portolan-call"], carried.headers["portolan-call"]);
  });
});

Deno.test("createFetch() takes strings, URLs and Requests alike, with every kind of body", async () => {
  await withSidecar(echo, async (sidecar) => {
    const call = createFetch({ sidecar });
    const bodies: BodyInit[] = ["hi", new Uint8Array([104, 105]), new URLSearchParams("a=b"), new Blob(["hi"])];
    for (const body of bodies) {
      const init = { method: "POST", body, headers: { "x-a": "1" } };
      const answers = await Promise.all([
        call(" service://identity/a/../b ", init),
        call(new URL("service://identity/b"), init),
        call(new Request("service://identity/b", init)),
        call(new Request("service://identity/b", { ...init, method: "PUT", body: "no" }), init),
      ]);
      const shown = await Promise.all(answers.map((answer) => answer.json()));
      for (const { method, url, body: sent, headers } of shown) {
        assert.deepEqual([method, url, sent], ["POST", "/b", await new Response(body).text()]);
        assert.deepEqual([headers["x-a"], headers["content-type"]], ["1", shown[0].headers["content-type"]]);
        if (!(body instanceof Blob)) assert.equal(headers["content-length"], shown[0].headers["content-length"]);
      }
    }
    const used = new Request("service://identity/b", { method: "POST", body: "hi" });
    await call(used).then((response) => response.body?.cancel());
    assert.equal(used.bodyUsed, true);
    await assert.rejects(call(used), TypeError);
  });
});

Deno.test("createFetch() leaves other schemes to the platform", async () => {
  await withSidecar(echo, async (origin) => {
    const call = createFetch({ sidecar: "http://127.0.0.1:9" });
    const { headers } = await (await call(`${origin}/x`)).json();
    assert.equal(headers["portolan-service"], undefined);
    assert.equal(await (await call("data:text/plain,hi")).text(), "hi");
    await assert.rejects(call("relative"), TypeError);
  });
});

Deno.test("createFetch() throws a TypeError with a sentence for a bad address, a bad sidecar, or none", async () => {
  const call = createFetch({ sidecar: "http://127.0.0.1:9" });
  await assert.rejects(call("service://Identity/"), {
    name: "TypeError",
    message: 'Cannot call "service://Identity/": service "Identity": expected lower case',
  });
  await assert.rejects(call(new Request("service://a.b.c/")), /at most one alias/);
  await assert.rejects(call("service://identity/x"), {
    name: "TypeError",
    message: /^Cannot call "service:\/\/identity\/x" through the sidecar at http:\/\/127\.0\.0\.1:9: /,
  });
  for (const sidecar of ["127.0.0.1:7410", "ftp://x", "http://x/path", "", "http://"]) {
    if (sidecar) assert.throws(() => createFetch({ sidecar }), /Cannot use sidecar/);
  }
});

Deno.test("createFetch() removes the not-processed mark and leaves the rest of the response alone", async () => {
  const handler: Handler = (request) =>
    new URL(request.url).pathname === "/none"
      ? new Response(null, { status: 204 })
      : new Response("no", { status: 503, headers: { "portolan-not-processed": "1", "retry-after": "1" } });
  await withSidecar(handler, async (sidecar) => {
    const call = createFetch({ sidecar });
    const response = await call("service://identity/");
    assert.equal(response.headers.get("portolan-not-processed"), null);
    assert.equal(response.headers.get("retry-after"), "1");
    const clone = response.clone();
    assert.deepEqual([response.status, await response.text()], [503, "no"]);
    assert.deepEqual([clone.url, await clone.text()], ["service://identity/", "no"]);
    assert.equal((await call("service://identity/none")).status, 204);
  });
});

Deno.test("createFetch() follows redirects as calls of their own, in one flow", async () => {
  const seen: Record<string, string | null>[] = [];
  const handler: Handler = (request) => {
    const { pathname } = new URL(request.url);
    const of = (name: string) => request.headers.get(`portolan-${name}`);
    seen.push({ service: of("service"), flow: of("flow"), call: of("call"), path: pathname, method: request.method });
    const hops: Record<string, string> = { "/a": "b", "/b": "service://canary.teams/c", "/loop": "/loop" };
    const location = hops[pathname];
    return location ? new Response("moved", { status: 302, headers: { location } }) : new Response("there");
  };
  await withSidecar(handler, async (sidecar) => {
    const call = createFetch({ sidecar });
    const response = await call("service://identity/a", { method: "POST", body: "hi" });
    assert.deepEqual([await response.text(), response.url, response.redirected], [
      "there",
      "service://canary.teams/c",
      true,
    ]);
    assert.deepEqual(seen.map(({ service, path, method }) => [service, path, method]), [
      ["identity", "/a", "POST"],
      ["identity", "/b", "GET"],
      ["canary.teams", "/c", "GET"],
    ]);
    assert.equal(new Set(seen.map(({ flow }) => flow)).size, 1);
    assert.equal(new Set(seen.map(({ call }) => call)).size, 3);
    assert.equal((await call("service://identity/a", { redirect: "manual" })).status, 302);
    await assert.rejects(call("service://identity/a", { redirect: "error" }), /answers with a redirect/);
    await assert.rejects(call("service://identity/loop"), /more than 20 redirects/);
  });
});

Deno.test("createFetch() ends with its caller's signal and with its deadline", async () => {
  const held = Promise.withResolvers<Response>();
  await withSidecar(() => held.promise, async (sidecar) => {
    const stop = new AbortController();
    const aborted = createFetch({ sidecar })("service://identity/", { signal: stop.signal });
    const requested = createFetch({ sidecar })(new Request("service://identity/", { signal: stop.signal }));
    stop.abort();
    await assert.rejects(aborted, { name: "AbortError" });
    await assert.rejects(requested, { name: "AbortError" });
    await assert.rejects(createFetch({ sidecar, timeoutMs: 20 })("service://identity/"), { name: "TimeoutError" });
    held.resolve(new Response());
  });
});

import assert from "node:assert/strict";
import { type Hop, leaves, redirect } from "./redirect.ts";

const SIDECAR = "http://127.0.0.1:7410";
const hop = (init: Partial<RequestInit> & { headers?: Headers } = {}): Hop => ({
  url: "service://canary.identity/a/b?x=1",
  init: { ...init, headers: init.headers ?? new Headers() },
});
const to = (location: string | null, status = 302) =>
  new Response(null, { status, headers: location === null ? {} : { location } });

Deno.test("redirect() keeps a relative Location with the service, and one that names the sidecar", () => {
  const rows: [string, string][] = [
    ["/teams", "service://canary.identity/teams"],
    ["c?y=2", "service://canary.identity/a/c?y=2"],
    ["../../z", "service://canary.identity/z"],
    ["?y", "service://canary.identity/a/b?y"],
    ["service://teams/1", "service://teams/1"],
    [`${SIDECAR}/login`, "service://canary.identity/login"],
    ["http://127.0.0.1:9/elsewhere", "http://127.0.0.1:9/elsewhere"],
  ];
  for (const [location, expected] of rows) assert.equal(redirect(hop(), to(location), SIDECAR)?.url, expected);
});

Deno.test("redirect() is none for other statuses, without a Location, and when the caller wants to see it", () => {
  assert.equal(redirect(hop(), to("/x", 304), SIDECAR), undefined);
  assert.equal(redirect(hop(), to("/x", 201), SIDECAR), undefined);
  assert.equal(redirect(hop(), to(null), SIDECAR), undefined);
  assert.equal(redirect(hop({ redirect: "manual" }), to("/x"), SIDECAR), undefined);
});

Deno.test("redirect() throws where fetch does", () => {
  assert.throws(() => redirect(hop({ redirect: "error" }), to("/x"), SIDECAR), /answers with a redirect/);
  assert.throws(() => redirect(hop(), to("file:///etc/passwd"), SIDECAR), /Cannot follow the redirect/);
  assert.throws(() => redirect(hop(), to("http://[::"), SIDECAR), TypeError);
  const stream = hop({ method: "POST", body: new ReadableStream() });
  assert.throws(() => redirect(stream, to("/x", 307), SIDECAR), /cannot be sent again/);
  assert.equal(redirect(stream, to("/x", 303), SIDECAR)?.init.body, undefined);
});

Deno.test("redirect() turns a POST into a GET for 301, 302 and 303, and keeps it for 307 and 308", () => {
  const post = hop({
    method: "post",
    body: "hi",
    headers: new Headers({ "content-type": "text/plain", accept: "x/y" }),
  });
  for (const status of [301, 302, 303]) {
    const { init } = redirect(post, to("/x", status), SIDECAR) as Hop;
    assert.deepEqual([init.method, init.body, [...init.headers]], ["GET", undefined, [["accept", "x/y"]]]);
  }
  for (const status of [307, 308]) {
    const { init } = redirect(post, to("/x", status), SIDECAR) as Hop;
    assert.deepEqual([init.method, init.body, init.headers.get("content-type")], ["post", "hi", "text/plain"]);
  }
  assert.equal(redirect(hop({ method: "PUT" }), to("/x", 302), SIDECAR)?.init.method, "PUT");
  assert.equal(redirect(hop({ method: "HEAD" }), to("/x", 303), SIDECAR)?.init.method, "HEAD");
});

Deno.test("redirect() takes credentials along to the same service only, and strangers get nothing of ours", () => {
  const headers = new Headers({ authorization: "secret", cookie: "a=b", "portolan-flow": "f", accept: "x/y" });
  assert.equal(redirect(hop({ headers }), to("/x"), SIDECAR)?.init.headers.get("authorization"), "secret");
  const { init } = redirect(hop({ headers }), to("http://stranger.example/"), SIDECAR) as Hop;
  assert.deepEqual([...new Headers(leaves(init).headers)], [["accept", "x/y"]]);
  const other = redirect(hop({ headers }), to("service://teams/"), SIDECAR)?.init.headers;
  assert.deepEqual([other?.has("authorization"), other?.get("portolan-flow")], [false, "f"]);
});

import assert from "node:assert/strict";
import { type Address, address } from "../proto/settings.ts";
import { Failure } from "./command.ts";
import { requireFree } from "./free_ports.ts";
import { ready } from "./ready.ts";
import { run } from "./testing/run.ts";
import { summary } from "./up_summary.ts";

const at = (text: string) => address(text) as Address;

Deno.test("up names the flag whose port is taken, and touches nothing", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const where = `127.0.0.1:${(taken.addr as Deno.NetAddr).port}`;
  const { exit, out, err } = await run(["up", "--data", "/nonexistent/portolan", "--egress", where]);
  assert.deepEqual([exit, out], [1, ""]);
  assert.match(
    err,
    new RegExp(`^portolan up: Cannot listen on ${where}: the port is taken; .* a HAProxy that .* with --egress\\n$`),
  );
});

Deno.test("requireFree() sees that two listeners are to have one port, and leaves free ones free", () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const free = { host: "127.0.0.1", port: (listener.addr as Deno.NetAddr).port };
  listener.close();
  requireFree({ http: free });
  requireFree({ http: free });
  assert.throws(() => requireFree({ http: free, grpc: free }), Failure);
});

Deno.test("ready() asks until the answer is 200, and says what came instead", async () => {
  const statuses = [503, 500, 200];
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => new Response("not yet", { status: statuses.shift() ?? 503 }),
  );
  const url = `http://127.0.0.1:${server.addr.port}/readyz`;
  const { signal } = new AbortController();
  assert.equal(await ready(url, { withinMs: 60_000, signal }), undefined);
  assert.equal(await ready(url, { withinMs: 1, signal }), "503 not yet");
  await assert.rejects(ready(url, { withinMs: 60_000, signal: AbortSignal.abort(new Error("enough")) }), /enough/);
});

Deno.test("the summary's commands name what differs from the defaults, and only that", () => {
  const plain = { http: at("127.0.0.1:7400"), grpc: at("127.0.0.1:7401"), egress: at("127.0.0.1:7410") };
  const started = {
    ...plain,
    admin: at("127.0.0.1:7412"),
    realm: "local",
    data: ".portolan",
    demo: "routed" as const,
  };
  const usual = summary(started);
  assert.match(usual, /^curl -H 'Portolan-Service: teams' 127\.0\.0\.1:7410\/$/m);
  assert.match(
    usual,
    /^curl -X PUT http:\/\/127\.0\.0\.1:7400\/api\/v1\/realms\/local\/services\/map\/instances\/one -d/m,
  );
  assert.match(usual, /^\.\/portolan split identity v1=9000 v2=1000$/m);
  const other = summary({ ...started, grpc: at("127.0.0.1:8401"), realm: "testing" });
  assert.match(other, /^\.\/portolan disable identity\/two --control-plane 127\.0\.0\.1:8401 --realm testing$/m);
  assert.doesNotMatch(summary({ ...started, demo: "none" }), /identity/);
});

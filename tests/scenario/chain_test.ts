import assert from "node:assert/strict";
import { Connection } from "./testing/connection.ts";
import { startHost, startInstance } from "./testing/host.ts";

Deno.test("a write becomes a route: PUT, disable, split, alias and DELETE reach HAProxy", async () => {
  await using host = await startHost();
  await using one = startInstance("one");
  await using two = startInstance("two");
  using connection = new Connection(host.egressPort);
  const ask = async (service: string, headers: Record<string, string> = {}) => {
    await host.applied();
    const { status, headers: answered, body } = await connection.get({ "portolan-service": service, ...headers });
    return status === 200 ? JSON.parse(body).instance : [status, answered.get("portolan-error")];
  };
  const put = (id: string, port: number, version: number) =>
    host.call("PUT", `/services/identity/instances/${id}`, { host: "127.0.0.1", port, version });

  assert.deepEqual(await ask("identity"), [404, "no_service"]);
  await put("a", one.port, 1);
  assert.equal(await ask("identity"), "one");
  assert.equal(await ask("v1.identity"), "one");
  assert.deepEqual(await ask("v2.identity"), [404, "no_service"]);
  await put("b", two.port, 2);
  assert.equal(await ask("v2.identity"), "two");

  await host.call("PUT", "/services/identity/aliases/canary", { version: 2 });
  assert.equal(await ask("canary.identity"), "two");
  await host.call("PUT", "/services/identity/aliases/live", { version: 1 });
  assert.equal(await ask("identity"), "one");
  const split = [{ version: 1, share: 0 }, { version: 2, share: 10_000 }];
  await host.call("PUT", "/services/identity/aliases/live", { split, stickyHeader: "x-user" });
  assert.equal(await ask("identity", { "x-user": "ada" }), "two");

  await host.call("POST", "/services/identity/instances/b:disable");
  assert.deepEqual(await ask("identity"), [503, "no_instances"]);
  await host.call("POST", "/services/identity/instances/b:enable");
  assert.equal(await ask("live.identity"), "two");
  await host.call("POST", "/services/identity:disable");
  assert.deepEqual(await ask("canary.identity"), [503, "no_instances"]);
  await host.call("POST", "/services/identity:enable");
  await host.call("DELETE", "/services/identity/instances/b");
  assert.deepEqual(await ask("canary.identity"), [503, "no_instances"]);
  assert.deepEqual(await ask("v2.identity"), [404, "no_service"]);
  assert.equal(await ask("v1.identity"), "one");
});

Deno.test("a control plane that was killed serves again what it had answered; calls go on meanwhile", async () => {
  await using host = await startHost();
  await using one = startInstance("one");
  await host.call("PUT", "/services/identity/instances/a", { host: "127.0.0.1", port: one.port });
  await host.applied();
  using connection = new Connection(host.egressPort);
  const status = async () => (await connection.get({ "portolan-service": "identity" })).status;
  await host.killControlPlane();
  assert.equal(await status(), 200);
  await host.reviveControlPlane();
  const { instances } = await host.call<{ instances: { id: string }[] }>("GET", "/services/identity");
  assert.deepEqual(instances.map(({ id }) => id), ["a"]);
  // The sidecar comes back, and what is written now arrives.
  await host.call("DELETE", "/services/identity/instances/a");
  await host.applied();
  assert.equal(await status(), 503);
});

import assert from "node:assert/strict";
import { type Host, startHost, startInstance } from "./testing/host.ts";

async function ask(host: Host, service: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${host.egressPort}/`, { headers: { "portolan-service": service } });
  const text = await response.text();
  return response.ok ? JSON.parse(text).instance : `${response.status}`;
}

Deno.test("HAProxy goes on without its sidecar, and the next one takes it over and catches up", async () => {
  await using host = await startHost({ haproxyOutlives: true });
  await using one = startInstance("one");
  await using two = startInstance("two");
  const put = (service: string, { name, port }: { name: string; port: number }) =>
    host.call("PUT", `/services/${service}/instances/${name}`, { host: "127.0.0.1", port });
  await put("identity", one);
  await host.applied();
  const { workerPid } = (await host.state()).haproxy;
  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    await host.endSidecar(signal);
    assert.equal(await ask(host, "identity"), "one");
    await put(`new-${signal.toLowerCase()}`, two);
    await host.reviveSidecar();
    await host.applied();
    assert.equal(await ask(host, `new-${signal.toLowerCase()}`), "two");
    const { haproxy, reloads } = await host.state();
    assert.deepEqual([haproxy.workerPid, haproxy.adopted, reloads.count], [workerPid, true, 0]);
  }
});

Deno.test("sidecar and HAProxy start from what is on disk while no control plane answers, and say how old it is", async () => {
  await using host = await startHost();
  await using one = startInstance("one");
  await host.call("PUT", "/services/identity/instances/one", { host: "localhost", port: one.port });
  await host.applied();
  await host.killControlPlane();
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    await host.endSidecar(signal);
    await host.reviveSidecar();
    while (await ask(host, "identity").catch(() => "nobody") !== "one");
  }
  while ((await host.state()).map.from !== "disk");
  const { map } = await host.state();
  assert.ok(map.ageMs > 0);
  const ready = await host.ready();
  assert.deepEqual(ready, { ready: true, reasons: [] });
  await host.reviveControlPlane();
  await host.call("PUT", "/services/teams/instances/one", { host: "127.0.0.1", port: one.port });
  await host.applied();
  assert.equal(await ask(host, "teams"), "one");
  assert.equal((await host.state()).map.from, "control plane");
});

Deno.test("a sidecar that was killed before the newest map was saved goes on from HAProxy's files, and says how old it is", async () => {
  await using host = await startHost({ haproxyOutlives: true });
  await using one = startInstance("one");
  const begun = Date.now();
  // Maps are saved once a second at most: the second of these is in HAProxy's files only.
  for (const id of ["one", "two"]) {
    await host.call("PUT", `/services/identity/instances/${id}`, { host: "127.0.0.1", port: one.port });
    await host.applied();
  }
  await host.endSidecar("SIGKILL");
  await host.killControlPlane();
  await host.reviveSidecar();
  assert.equal(await ask(host, "identity"), "one");
  const { map } = await host.state();
  // Or from the saved map, if that was just due.
  assert.ok(map.from === "files" || map.from === "disk", `${map.from}`);
  assert.ok(map.ageMs > 0 && map.ageMs < Date.now() - begun + 1_000, `${map.ageMs} ms`);
});

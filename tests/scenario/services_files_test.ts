import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { anonymous } from "../../control-plane/app/caller.ts";
import { findService, type Instance } from "../../control-plane/domain/cluster_map.ts";
import { testControlPlane, type TestPlane, until } from "../../control-plane/transport/testing.ts";
import { Check_Kind } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { type Fields, type Log, SILENT } from "../../proto/log.ts";
import { start } from "./testing/program.ts";
import { hostFolders, startRegistrar } from "./testing/registrar.ts";

/** Nobody listens there; what is not checked soon is UNKNOWN or FAILING, which says enough. */
const FILE = { service: "identity", port: 1, check: { interval: "100ms" }, drainTime: "0s" };

Deno.test("instances are registered as files say, checked, changed in place, and taken off", async () => {
  await using plane = await testControlPlane();
  await using folders = await hostFolders();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  await folders.write({ "a.json": { ...FILE, port, version: 7, weight: 50, metadata: { k: "v" } } });
  await using registrar = await startRegistrar({ target: plane.target, folders, zone: "z1" });
  await until("it passes", () => instanceOf(plane, "a")?.status === "passing");
  const { host, version, weight, zone, hostId, metadata, ttl } = instanceOf(plane, "a") as Instance;
  assert.deepEqual([host, version, weight, zone, hostId, metadata, ttl], [
    "127.0.0.1",
    7,
    50,
    "z1",
    "h1",
    { k: "v" },
    2_000,
  ]);
  const [view] = registrar.instances;
  assert.deepEqual({ ...view, since: "" }, {
    ...{ service: "identity", id: "a", file: "a.json", host: "127.0.0.1", port },
    ...{ status: "passing", since: "", registered: true },
  });

  // A change keeps what is observed.
  const lease = instanceOf(plane, "a")?.lease;
  await folders.write({ "a.json": { ...FILE, port, weight: 10 } });
  await until("it has changed", () => instanceOf(plane, "a")?.weight === 10);
  assert.deepEqual([instanceOf(plane, "a")?.status, instanceOf(plane, "a")?.lease], ["passing", lease]);
  listener.close();
  await until("it fails", () => instanceOf(plane, "a")?.status === "failing");
  assert.match(registrar.instances[0]?.lastError ?? "", /refused/i);

  // Another id is another instance, under the same lease.
  await folders.write({ "a.json": { ...FILE, id: "b" } });
  await until("another one is there", () => ids(plane) === "b");
  assert.equal(instanceOf(plane, "b")?.lease, lease);
  await folders.write({ "a.json": undefined });
  await until("it is gone", () => ids(plane) === "");
  await until("nothing is left", () => registrar.instances.length === 0);
});

Deno.test("an instance drains for its time before it goes, and comes back where its file does", async () => {
  await using plane = await testControlPlane();
  await using folders = await hostFolders();
  const [slow, quick] = [{ ...FILE, drainTime: "1h" }, { ...FILE, drainTime: "100ms" }];
  await folders.write({ "a.json": slow, "b.json": quick });
  await using _ = await startRegistrar({ target: plane.target, folders });
  await until("both are there", () => ids(plane) === "a b");
  await folders.write({ "a.json": undefined, "b.json": undefined });
  await until("one is gone", () => ids(plane) === "a");
  assert.equal(instanceOf(plane, "a")?.draining, true);
  await folders.write({ "a.json": quick });
  await until("it is back", () => instanceOf(plane, "a")?.draining === false);
  await folders.write({ "a.json": undefined });
  await until("it is gone", () => ids(plane) === "");
});

Deno.test("an instance whose file came back while no sidecar was there drains no more", async () => {
  await using plane = await testControlPlane();
  await using folders = await hostFolders();
  const slow = { ...FILE, drainTime: "1h" };
  await folders.write({ "a.json": slow });
  {
    await using _ = await startRegistrar({ target: plane.target, folders });
    await until("it is there", () => ids(plane) === "a");
    await folders.write({ "a.json": undefined });
    await until("it drains", () => instanceOf(plane, "a")?.draining === true);
  }
  await folders.write({ "a.json": slow });
  await using _ = await startRegistrar({ target: plane.target, folders });
  await until("it drains no more", () => instanceOf(plane, "a")?.draining === false);
});

Deno.test("a sidecar that comes next goes on with the lease: nothing flaps, what drains goes on to", async () => {
  await using plane = await testControlPlane();
  await using folders = await hostFolders();
  await folders.write({ "same.json": FILE, "changed.json": FILE, "gone.json": FILE, "broken.json": FILE });
  const target = { target: plane.target, folders };
  {
    await using _ = await startRegistrar(target);
    await until("all are checked", () => statuses(plane) === "failing failing failing failing");
    await plane.registry.drain({ realm: "local", service: "identity", id: "same" });
  }
  const before = instanceOf(plane, "same") as Instance;
  assert.equal(ids(plane), "broken changed gone same");
  await folders.write({
    "changed.json": { ...FILE, weight: 1 },
    "gone.json": undefined,
    "broken.json": "{",
    "new.json": FILE,
  });
  await using registrar = await startRegistrar(target);
  await until("the files are followed", () => ids(plane) === "broken changed new same");
  await until("what was changed is", () => instanceOf(plane, "changed")?.weight === 1);
  await until("all are held", () => registrar.instances.every(({ registered }) => registered));
  assert.deepEqual(instanceOf(plane, "same"), before);
  const leases = new Set(instances(plane).map(({ lease }) => lease));
  assert.deepEqual([before.draining, leases], [true, new Set([before.lease])]);
  assert.deepEqual(registrar.problems.map(({ file }) => file), ["broken.json"]);
  // The lease is renewed: all of it is there after its ttl.
  await new Promise((done) => setTimeout(done, 2_500));
  assert.equal(ids(plane), "broken changed new same");
  assert.deepEqual(instanceOf(plane, "same"), before);
});

Deno.test("what a sidecar registered that was killed before it knew its lease is neither doubled, refused nor left", async () => {
  await using plane = await testControlPlane();
  await using folders = await hostFolders();
  await folders.write({ "a.json": FILE, "b.json": FILE, "gone.json": FILE });
  {
    const program = fileURLToPath(new URL("testing/stalled_registrar.ts", import.meta.url));
    await using stalled = start(program, "test", [folders.services, folders.data, plane.target]);
    await until("all are checked", () => statuses(plane) === "failing failing failing");
    assert.equal((await stalled.end("SIGKILL")).signal, "SIGKILL", stalled.output());
  }
  const before = instanceOf(plane, "a")?.lease;
  assert.doesNotMatch(await Deno.readTextFile(join(folders.data, "lease.json")), /leaseId/);
  await folders.write({ "gone.json": undefined });
  const seen = new Set<string>();
  // No instance runs out meanwhile.
  await using registrar = await startRegistrar({ target: plane.target, folders, ttlMs: 60_000 });
  await until("the files are followed", () => seen.add(ids(plane)).has("a b"));
  await until("both are held", () => registrar.instances.every(({ registered }) => registered));
  assert.deepEqual([...seen].filter((ids) => !ids.startsWith("a b")), [], "nobody was away meanwhile");
  await until("both are checked", () => statuses(plane) === "failing failing");
  assert.deepEqual(registrar.problems, []);
  // Of a lease that holds several nobody gets a share without naming it: all have moved to a new one.
  const leases = new Set(instances(plane).map(({ lease }) => lease));
  assert.deepEqual([leases.size, instanceOf(plane, "a")?.lease === before], [1, false]);
});

Deno.test("a sidecar that comes after its lease has ended registers anew", async () => {
  await using plane = await testControlPlane();
  await using folders = await hostFolders();
  await folders.write({ "a.json": FILE });
  {
    await using _ = await startRegistrar({ target: plane.target, folders, ttlMs: 1_000 });
    await until("it is there", () => instanceOf(plane, "a")?.status === "failing");
  }
  const before = instanceOf(plane, "a")?.lease;
  await until("its lease has ended", () => ids(plane) === "");
  await using _ = await startRegistrar({ target: plane.target, folders, ttlMs: 1_000 });
  await until("it is back", () => instanceOf(plane, "a")?.status === "failing");
  assert.notEqual(instanceOf(plane, "a")?.lease, before);
});

Deno.test("a sidecar that leaves for good takes its instances off; without a control plane it ends all the same", async () => {
  await using folders = await hostFolders();
  await folders.write({ "a.json": { ...FILE, drainTime: "200ms" }, "b.json": FILE });
  {
    await using plane = await testControlPlane();
    {
      await using _ = await startRegistrar({ target: plane.target, folders, leavesForGood: true });
      await until("both are there", () => ids(plane) === "a b");
    }
    assert.equal(ids(plane), "");
    assert.deepEqual([...Deno.readDirSync(folders.data)], []);
  }
  const plane = await testControlPlane();
  const registrar = await startRegistrar({ target: plane.target, folders, leavesForGood: true });
  await until("both are there", () => ids(plane) === "a b");
  await plane[Symbol.asyncDispose]();
  await registrar[Symbol.asyncDispose]();
  // Whoever comes next knows of them.
  assert.deepEqual([...Deno.readDirSync(folders.data)].map(({ name }) => name), ["lease.json"]);
});

Deno.test("files that cannot be used keep their instances as they were, are told once, and recover", async () => {
  await using plane = await testControlPlane();
  await using folders = await hostFolders();
  const errors: string[] = [];
  const log: Log = { ...SILENT, error: (message, fields?: Fields) => errors.push(`${message} ${fields?.["file"]}`) };
  await folders.write({ "a.json": FILE, "b.json": FILE });
  await using registrar = await startRegistrar({ target: plane.target, folders, log });
  await until("both are there", () => ids(plane) === "a b");
  await folders.write({ "a.json": '{"service":', "b.json": { ...FILE, id: "a" }, ".c.json": FILE, "d.txt": FILE });
  await until("problems are shown", () => registrar.problems.length === 2);
  await folders.write({ "c.json": FILE });
  await until("others go on", () => ids(plane) === "a b c");
  assert.match(registrar.problems[0]?.reason ?? "", /^expected JSON, as in /);
  assert.equal(
    registrar.problems[1]?.reason,
    '"service" "identity" with "id" "a": "a.json" says the same; give one of them another "id"',
  );
  await folders.write({ "a.json": { ...FILE, weight: 3 }, "b.json": FILE });
  await until("it recovers", () => instanceOf(plane, "a")?.weight === 3);
  assert.deepEqual([ids(plane), registrar.problems], ["a b c", []]);
  const words = "Cannot use a services file: what it said before stays";
  assert.deepEqual(errors.sort(), [`${words} a.json`, `${words} b.json`]);
});

Deno.test("a folder that is not there takes nobody off; one that comes later is followed", async () => {
  await using plane = await testControlPlane();
  await using folders = await hostFolders();
  await Deno.remove(folders.services);
  await using registrar = await startRegistrar({ target: plane.target, folders });
  await until("it is shown", () => registrar.problems[0]?.file === folders.services);
  await Deno.mkdir(folders.services);
  await folders.write({ "a.json": FILE });
  await until("its files are followed", () => ids(plane) === "a");
  await Deno.rename(folders.services, `${folders.services}.old`);
  await until("it is shown", () => registrar.problems.length === 1);
  assert.deepEqual([ids(plane), instanceOf(plane, "a")?.draining], ["a", false]);
  await Deno.mkdir(folders.services);
  await folders.write({ "b.json": FILE });
  await until("the new one is followed", () => ids(plane) === "b");
});

Deno.test("a service's own check counts where the file has none", async () => {
  await using plane = await testControlPlane();
  await using folders = await hostFolders();
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    ({ url }) => new Response(null, { status: url.endsWith("/up") ? 204 : 500 }),
  );
  const { port } = server.addr;
  const put = (path: string) =>
    plane.registry.putService({
      realm: "local",
      service: "identity",
      spec: { check: { kind: Check_Kind.HTTP, path, interval: { seconds: 0n, nanos: 100_000_000 } } },
    });
  await put("/down");
  await folders.write({ "a.json": { service: "identity", port } });
  await using registrar = await startRegistrar({ target: plane.target, folders });
  await until("it fails", () => instanceOf(plane, "a")?.status === "failing");
  assert.equal(registrar.instances[0]?.lastError, "status 500 of GET /down");
  await put("/up");
  await until("it passes", () => instanceOf(plane, "a")?.status === "passing");
  await folders.write({ "a.json": { service: "identity", port, check: { kind: "HTTP", path: "/other" } } });
  await until("the file's own counts", () => instanceOf(plane, "a")?.status === "failing");
});

Deno.test("an instance that another host has is not taken from it, until it is gone", async () => {
  await using plane = await testControlPlane();
  await using one = await hostFolders();
  await using two = await hostFolders();
  await one.write({ "identity.json": FILE });
  await using first = await startRegistrar({ target: plane.target, folders: one, hostId: "h1" });
  await until("it is there", () => instanceOf(plane, "identity")?.hostId === "h1");
  const { modified } = instanceOf(plane, "identity") as Instance;
  await until("it is checked", () => instanceOf(plane, "identity")?.modified !== modified);
  await two.write({ "identity.json": FILE });
  await using second = await startRegistrar({ target: plane.target, folders: two, hostId: "h2" });
  await until("it is shown", () => second.problems.length === 1);
  assert.match(
    second.problems[0]?.reason ?? "",
    /^"id" "identity": host "h1" has an instance "identity\/identity" on the map/,
  );
  assert.deepEqual([instanceOf(plane, "identity")?.hostId, first.problems], ["h1", []]);
  // To take the file away takes nothing off that is another's.
  await two.write({ "identity.json": undefined });
  await until("it is given up", () => second.instances.length === 0);
  assert.deepEqual([instanceOf(plane, "identity")?.hostId, instanceOf(plane, "identity")?.draining], ["h1", false]);
  await two.write({ "identity.json": FILE });
  await until("it is shown", () => second.problems.length === 1);
  await one.write({ "identity.json": undefined });
  await until("it moves", () => instanceOf(plane, "identity")?.hostId === "h2");
  assert.deepEqual(second.problems, []);
});

Deno.test("an instance that another host takes is let go, and not fought over", async () => {
  await using plane = await testControlPlane();
  await using folders = await hostFolders();
  await folders.write({ "a.json": FILE, "b.json": FILE });
  await using registrar = await startRegistrar({ target: plane.target, folders });
  await until("both are there", () => statuses(plane) === "failing failing");
  const instance = { host: "127.0.0.9", port: 9, hostId: "h9" };
  await plane.registry.register({ realm: "local", service: "identity", id: "a", instance });
  await until("it is shown", () => registrar.problems.length === 1);
  assert.deepEqual(registrar.instances.map(({ id, registered }) => [id, registered]), [["a", false], ["b", true]]);
  await folders.write({ "a.json": undefined });
  await until("it is given up", () => registrar.instances.length === 1);
  assert.deepEqual([instanceOf(plane, "a")?.hostId, instanceOf(plane, "a")?.draining], ["h9", false]);
});

Deno.test("a registrar puts back what a restored store lacks", async () => {
  await using plane = await testControlPlane();
  await using folders = await hostFolders();
  await folders.write({ "a.json": FILE, "b.json": FILE });
  await using _ = await startRegistrar({ target: plane.target, folders });
  await until("both are there", () => statuses(plane) === "failing failing");
  await plane.registry.deregister({ realm: "local", service: "identity", id: "b" });
  await plane.ports.operations.beginEpoch(anonymous(undefined, "put back"));
  await until("both are back", () => statuses(plane) === "failing failing");
});

function instances({ hub }: TestPlane): readonly Instance[] {
  return findService(hub.current(), "local" as never, "identity" as never)?.instances ?? [];
}

function instanceOf(plane: TestPlane, id: string): Instance | undefined {
  return instances(plane).find((one) => one.id === id);
}

function ids(plane: TestPlane): string {
  return instances(plane).map(({ id }) => id).join(" ");
}

function statuses(plane: TestPlane): string {
  return instances(plane).map(({ status }) => status).join(" ");
}

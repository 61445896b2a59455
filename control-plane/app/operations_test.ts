import assert from "node:assert/strict";
import { MAX_SERVICE_BYTES } from "../domain/cluster_map.ts";
import { MOST_AT_ONCE } from "../domain/decision.ts";
import type { Epoch, Revision } from "../domain/names.ts";
import { isRefusal } from "../domain/refusal.ts";
import { openMemoryStore } from "../store/memory.ts";
import type { Commit } from "../store/store.ts";
import { createLog } from "../../proto/log.ts";
import { writesOf } from "./store_keys.ts";
import { caller, command, done, interruptible, LOCAL, overlaid, refusal, register, testPlane } from "./testing.ts";

Deno.test("execute() decides anew when another write was faster", async () => {
  await using plane = await testPlane();
  // All of them decide on a map in which the service does not exist.
  await Promise.all(Array.from({ length: 100 }, (_, n) => plane.change(register("a", `i${n}`))));
  assert.equal(plane.ids("a").length, 100);
});

Deno.test("execute() keeps a service within its bounds, however many write to it at once", async () => {
  await using plane = await testPlane();
  const metadata = { k: "v".repeat(4_000) };
  const outcomes = await Promise.all(
    Array.from({ length: 600 }, (_, n) => plane.operations.execute(caller, register("a", `i${n}`, { metadata }))),
  );
  const bytes = plane.service("a")?.bytes ?? 0;
  assert.ok(bytes > MAX_SERVICE_BYTES - 8_192 && bytes <= MAX_SERVICE_BYTES, `${bytes} bytes`);
  const refused = outcomes.filter(isRefusal).map(({ code }) => code);
  assert.deepEqual([...new Set(refused)], ["too_large"]);
});

Deno.test("execute() keeps a service within its bounds though many large writes to it begin while it is small", async () => {
  await using plane = await testPlane();
  const large = Object.fromEntries(Array.from({ length: 1_800 }, (_, i) => [i.toString(36), ""]));
  const bytes = () => plane.service("a")?.bytes ?? 0;
  for (let n = 0; bytes() < MAX_SERVICE_BYTES / 4 - 5_000; n++) {
    await plane.change(register("a", `small${n}`, { metadata: { k: "v".repeat(4_000) } }));
  }
  await Promise.all(
    Array.from({ length: 40 }, (_, n) => plane.operations.execute(caller, register("a", `i${n}`, { metadata: large }))),
  );
  assert.ok(bytes() > MAX_SERVICE_BYTES - 30_000 && bytes() <= MAX_SERVICE_BYTES, `${bytes()} bytes`);
});

Deno.test("execute() answers when the map shows the write", async () => {
  await using plane = await testPlane();
  for (let n = 0; n < 20; n++) {
    const { revision } = await plane.change(register("a", `i${n}`));
    assert.ok(plane.hub.current().position.revision >= revision);
  }
});

Deno.test("execute() says what became of a write that the store did not take", async () => {
  const answers: [Commit, string][] = [
    [{ kind: "refused", reason: "the disk is full" }, "unavailable"],
    [{ kind: "unknown", reason: "no answer" }, "unknown"],
  ];
  for (const [commit, code] of answers) {
    const memory = openMemoryStore();
    let broken = false;
    const store = overlaid(memory, { commit: async (...how) => broken ? commit : await memory.commit(...how) });
    await using plane = await testPlane({ store });
    broken = true;
    const refused = refusal(await plane.operations.execute(caller, register("a")));
    assert.equal(refused.code, code);
    assert.match(refused.message, /the disk is full|no answer/);
  }
});

Deno.test("execute() logs who changed what and why", async () => {
  const lines: string[] = [];
  await using plane = await testPlane({ log: createLog("test", (line) => lines.push(line)) });
  const alice = { identity: "alice", reason: "because" };
  await plane.change(register("a"), alice);
  await plane.change(register("a"), alice);
  await plane.operations.execute(alice, command("deregister", "a", { id: "j" }));
  const logged = lines.map((line) => JSON.parse(line));
  assert.deepEqual(logged.map(({ message, operation, identity, reason }) => [message, operation, identity, reason]), [
    ["Changed the map", "register", "alice", "because"],
    ["Refused a change", "deregister", "alice", "because"],
  ]);
});

Deno.test("execute() lets one of many conditional writes win", async () => {
  await using plane = await testPlane();
  const { revision } = await plane.change(register("a"));
  const outcomes = await Promise.all(
    Array.from(
      { length: 10 },
      (_, n) => plane.operations.execute(caller, { ...register("a", "i", { port: 10 + n }), expected: revision }),
    ),
  );
  assert.equal(outcomes.filter(({ kind }) => kind === "written").length, 1);
  assert.deepEqual([...new Set(outcomes.filter(isRefusal).map(({ code }) => code))], ["moved"]);
  const created = await Promise.all(
    Array.from(
      { length: 10 },
      (_, n) => plane.operations.execute(caller, { ...register("b", "i", { port: 10 + n }), expected: 0n as Revision }),
    ),
  );
  assert.equal(created.filter(({ kind }) => kind === "written").length, 1);
});

Deno.test("execute() takes what is too much for one commit in many, whoever writes in between", async () => {
  // A store to which somebody else was faster at every second commit.
  const memory = openMemoryStore();
  let armed = false;
  let commits = 0;
  const store = overlaid(memory, {
    commit: async (...how) => {
      if (!armed || commits++ % 2 === 1) return await memory.commit(...how);
      const touch = { kind: "touch_service", realm: LOCAL, service: "a" as never } as const;
      await memory.commit(writesOf([touch], { time: 0, identity: "somebody", operation: "touch" }));
      return { kind: "conflict" };
    },
  });
  await using plane = await testPlane({ store });
  const many = 3 * MOST_AT_ONCE;
  for (let n = 0; n < many; n++) await plane.change(register("a", `i${n}`));
  armed = true;
  await plane.change(command("drain", "a"));
  assert.equal(plane.service("a")?.instances.filter(({ draining }) => draining).length, many);
  await Promise.all([
    plane.change(command("set_enabled", "a", { enabled: false })),
    plane.change(register("a", "new")),
  ]);
  assert.equal(plane.service("a")?.enabled, false);
});

Deno.test("execute() takes a lease for who asks for none, and beats it", async () => {
  await using plane = await testPlane();
  const first = await plane.change(register("a", "i1", { ttl: 9_000 }));
  assert.ok(first.lease);
  assert.equal((await plane.change(register("a", "i1", { ttl: 9_000, port: 2 }))).lease, first.lease, "again");
  assert.notEqual((await plane.change(register("a", "i2", { ttl: 9_000 }))).lease, first.lease, "another");
  await plane.change(register("b", "i3", { ttl: 9_000 }), caller, first.lease);
  plane.clock.pass(8_000);
  await plane.change(register("a", "i1", { ttl: 9_000 }), caller, first.lease);
  plane.clock.pass(8_000);
  await plane.look();
  assert.deepEqual([plane.ids("a"), plane.ids("b")], [["i1"], ["i3"]], "a registration beats for all of the lease");
  const longer = await plane.change(register("a", "i1", { ttl: 20_000 }));
  assert.ok(longer.lease && longer.lease !== first.lease, "another ttl is another lease");
  plane.clock.pass(9_000);
  await plane.look();
  assert.deepEqual([plane.ids("a"), plane.ids("b")], [["i1"], []]);
  const permanent = await plane.change(register("a", "i1"));
  assert.equal(permanent.lease, undefined);
  assert.equal(plane.leases.size, 0);
});

Deno.test("a lease that somebody joins while its last instance leaves goes on", async () => {
  const { store, beforeNextCommit } = interruptible();
  await using plane = await testPlane({ store });
  const { lease } = await plane.change(register("a", "last", { ttl: 9_000 }));
  beforeNextCommit(() => plane.change(command("deregister", "a", { id: "last" })));
  await plane.change(register("b", "first", { ttl: 9_000 }), caller, lease);
  assert.ok(plane.leases.beat(lease!));
  assert.deepEqual([plane.ids("a"), plane.ids("b")], [[], ["first"]]);
});

Deno.test("releaseHeld() removes what is held and says how many that were", async () => {
  await using plane = await testPlane();
  const many = 2 * MOST_AT_ONCE + 5;
  const { lease } = await plane.change(register("a", "i0", { ttl: 9_000 }));
  for (let n = 1; n < many; n++) await plane.change(register("a", `i${n}`, { ttl: 9_000 }), caller, lease);
  const other = await plane.change(register("b", "i", { ttl: 9_000 }));
  await plane.change(register("b", "permanent"));
  const leases = new Set([lease, other.lease]);
  for (const service of ["a", "b"]) await plane.change(command("hold", service, { leases, held: true }));
  const released = done(await plane.operations.releaseHeld(caller, LOCAL));
  assert.equal(released.released, many + 1);
  assert.deepEqual([plane.ids("a"), plane.ids("b")], [[], ["permanent"]]);
  const { revision } = plane.hub.current().position;
  assert.deepEqual(done(await plane.operations.releaseHeld(caller, LOCAL)), { kind: "written", revision, released: 0 });
});

Deno.test("releaseHeld() does not count who came back or was held meanwhile", async () => {
  const { store, beforeNextCommit } = interruptible();
  await using plane = await testPlane({ store });
  const leases: unknown[] = [];
  for (const service of ["a", "b", "c"]) {
    leases.push((await plane.change(register(service, "i", { ttl: 9_000 }))).lease);
  }
  const hold = (service: string, held: boolean) =>
    plane.change(command("hold", service, { leases: new Set(leases), held }));
  for (const service of ["a", "b"]) await hold(service, true);
  beforeNextCommit(async () => {
    await hold("b", false);
    await hold("c", true);
  });
  assert.equal(done(await plane.operations.releaseHeld(caller, LOCAL)).released, 1);
  assert.deepEqual(["a", "b", "c"].map((service) => plane.ids(service)), [[], ["i"], ["i!"]]);
});

Deno.test("beginEpoch() begins a higher one, whatever the wall clock says and whoever does the same", async () => {
  const { store, beforeNextCommit } = interruptible();
  await using plane = await testPlane({ store });
  const { clock } = plane;
  const begin = async () => done(await plane.operations.beginEpoch(caller)).epoch;
  const first = plane.hub.current().position.epoch;
  assert.equal(first, BigInt(clock.wallMs));
  clock.wallMs -= 3_600_000;
  assert.equal(await begin(), first + 1n);
  clock.wallMs += 7_200_000;
  assert.equal(await begin(), BigInt(clock.wallMs));
  // Another one is faster, and its clock is an hour ahead.
  beforeNextCommit(async () => {
    clock.wallMs += 3_600_000;
    await begin();
    clock.wallMs -= 3_600_000;
  });
  assert.equal(await begin(), BigInt(clock.wallMs + 3_600_000 + 1));
  await using again = await testPlane({ store, clock });
  assert.deepEqual(again.hub.current().position, plane.hub.current().position);
});

Deno.test("beginEpoch() goes beyond an epoch that is said to have been, not beyond one that cannot", async () => {
  await using plane = await testPlane();
  const hour = BigInt(plane.clock.wallMs + 3_600_000) as Epoch;
  assert.equal(done(await plane.operations.beginEpoch(caller, hour)).epoch, hour + 1n);
  const year = BigInt(plane.clock.wallMs + 365 * 86_400_000) as Epoch;
  assert.equal(refusal(await plane.operations.beginEpoch(caller, year)).code, "invalid");
  assert.equal(plane.hub.current().position.epoch, hour + 1n);
});

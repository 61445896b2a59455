import assert from "node:assert/strict";
import type { Command } from "../domain/command.ts";
import { MOST_AT_ONCE } from "../domain/decision.ts";
import type { LeaseId } from "../domain/names.ts";
import type { Caller } from "./caller.ts";
import type { HostCommand } from "./operations.ts";
import { operationKey } from "./store_keys.ts";
import { openMemoryStore } from "../store/memory.ts";
import {
  caller,
  command,
  done,
  interruptible,
  LOCAL,
  operation,
  overlaid,
  refusal,
  register,
  type TestPlane,
  testPlane,
} from "./testing.ts";

const again = operation("op-1");

Deno.test("an operation that is repeated is answered as it was, and done once", async () => {
  await using plane = await testPlane();
  const ttl = 9_000;
  const first = await plane.change(register("a", "i", { ttl }), again);
  await plane.change(register("a", "i", { ttl, port: 2 }));
  const { revision } = plane.hub.current().position;
  assert.deepEqual(await plane.change(register("a", "i", { ttl }), again), first);
  assert.equal(plane.hub.current().position.revision, revision, "nothing was written");
  assert.equal(plane.service("a")?.instances[0]?.port, 2, "what came later stays");

  await using restarted = await testPlane({ store: plane.store, clock: plane.clock });
  assert.deepEqual(await restarted.change(register("a", "i", { ttl }), again), first);
});

Deno.test("an operation that is repeated while it is under way is done once, and answered alike", async () => {
  await using plane = await testPlane();
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, () => plane.change(register("a", "i", { ttl: 9_000 }), again)),
  );
  const [first] = outcomes;
  for (const outcome of outcomes) assert.deepEqual(outcome, first);
  assert.equal(plane.hub.current().position.revision, first!.revision);
});

Deno.test("an operation that removed something is answered as done, not as missing", async () => {
  await using plane = await testPlane();
  await plane.change(register("a", "i"));
  for (
    const [asked, id] of [
      [command("deregister", "a", { id: "i" }), "one"],
      [command("delete_service", "a", { force: false }), "two"],
    ] as const
  ) {
    const first = await plane.change(asked, operation(id));
    assert.deepEqual(await plane.change(asked, operation(id)), first);
    assert.equal(refusal(await plane.operations.execute(caller, asked)).code, "not_found");
  }
});

Deno.test("an operation's id is for one thing, in one realm, and none that begins like it", async () => {
  await using plane = await testPlane();
  await plane.change(register("a"), operation("op"));
  const refused = refusal(await plane.operations.execute(operation("op"), register("b")));
  assert.deepEqual([refused.code, refused.violations[0]?.field], ["invalid", "operationId"]);
  const together = await Promise.all(
    ["b", "c"].map((service) => plane.operations.execute(operation("both"), register(service))),
  );
  assert.deepEqual(together.map((one) => one.kind), ["written", "refuse"]);
  for (const id of ["o", "op-", "op.1"]) {
    await plane.change(register("b", id.replace(/[^a-z0-9]/g, "0")), operation(id));
  }
  await plane.change({ ...register("b"), realm: "testing" as never }, operation("op"));
});

Deno.test("an operation's id is for what was asked with it, not for something else of the same thing", async () => {
  await using plane = await testPlane();
  const { lease } = await plane.change(register("a", "held", { ttl: 9_000 }));
  const split = (share: number) => {
    const shares = [{ version: 1, share }, { version: 2, share: 10_000 - share }];
    return command("put_alias", "a", { alias: "live", route: { kind: "split", shares } });
  };
  const one = register("a", "i", { ttl: 9_000, metadata: { a: "1", b: "2" } });
  const cases: [first: Command, other: Command, asked?: LeaseId | undefined][] = [
    [one, register("a", "i", { ttl: 9_000, metadata: { a: "1", b: "3" } })],
    [register("a", "j", { port: 1 }), register("a", "j", { port: 2 })],
    [register("a", "k", { ttl: 9_000 }), register("a", "k", { ttl: 9_000 }), lease],
    [command("set_enabled", "a", { enabled: false }), command("set_enabled", "a", { enabled: true })],
    [command("set_enabled", "a", { enabled: true }), command("set_enabled", "a", { enabled: true, id: "j" })],
    [command("put_service", "a", { spec: { protocol: "TCP" } }), command("put_service", "a", { spec: {} })],
    [split(1_000), split(2_000)],
    [command("delete_service", "a", { force: true }), command("delete_service", "a", { force: false })],
  ];
  for (const [i, [first, other, asked]] of cases.entries()) {
    const by = operation(`op-${i}`);
    const answer = await plane.change(first, by);
    const { revision } = plane.hub.current().position;
    const { code, message, violations } = refusal(await plane.operations.execute(by, other, asked));
    assert.deepEqual([code, violations[0]?.field], ["invalid", "operationId"], first.kind);
    assert.match(message, new RegExp(`: it was "${first.kind} local/a[a-z/]* #[0-9a-f]{8}"$`));
    // The condition may not hold any more.
    assert.deepEqual(await plane.change({ ...first, expected: 0n } as Command, by), answer);
    assert.equal(plane.hub.current().position.revision, revision, "nothing was written");
  }
  const reordered = register("a", "i", { metadata: { b: "2", a: "1" }, ttl: 9_000 });
  await plane.change(reordered, operation("op-0"));
  assert.equal(plane.service("a"), undefined);
});

Deno.test("an operation that changed nothing is no operation", async () => {
  await using plane = await testPlane();
  await plane.change(register("a"));
  await plane.change(command("set_enabled", "a", { enabled: true }), again);
  await plane.change(command("set_enabled", "a", { enabled: false }));
  await plane.change(command("set_enabled", "a", { enabled: true }), again);
  assert.equal(plane.service("a")?.enabled, true);
});

Deno.test("an operation whose commit raced with its repeat is answered, though nothing else happens", async () => {
  // The store is asked whether it was done; before its answer arrives, it is, and the map shows it.
  const memory = openMemoryStore();
  let late: (() => Promise<unknown>) | undefined;
  const store = overlaid(memory, {
    read: async (...how) => {
      const answer = await memory.read(...how);
      const work = late;
      late = undefined;
      await work?.();
      return answer;
    },
  });
  await using plane = await testPlane({ store });
  let first: unknown;
  late = async () => first = await plane.change(register("a"), again);
  assert.deepEqual(await plane.change(register("a"), again), first);
});

Deno.test("an operation of many commits goes on where it ended, and is done once all of it is", async () => {
  const memory = openMemoryStore();
  let left = Infinity;
  const store = overlaid(memory, {
    commit: async (...how) =>
      left-- > 0 ? await memory.commit(...how) : { kind: "refused", reason: "the disk is full" },
  });
  await using plane = await testPlane({ store });
  const many = 2 * MOST_AT_ONCE + 1;
  for (let n = 0; n < many; n++) await plane.change(register("a", `i${n}`));
  const draining = () => plane.service("a")?.instances.filter((one) => one.draining).length;
  left = 1;
  assert.equal(refusal(await plane.operations.execute(again, command("drain", "a"))).code, "unknown");
  assert.equal(draining(), MOST_AT_ONCE);
  left = 0;
  assert.equal(refusal(await plane.operations.execute(again, command("drain", "a"))).code, "unavailable");
  left = Infinity;
  await using restarted = await testPlane({ store, clock: plane.clock });
  const first = await restarted.change(command("drain", "a"), again);
  await plane.hub.reached(first.revision);
  assert.equal(draining(), many);
  // Who came back meanwhile stays.
  await restarted.change(register("a", "i7", { port: 2 }));
  assert.deepEqual(await restarted.change(command("drain", "a"), again), first);
  const notes = (await memory.read("map/local/a/touch")).entries;
  assert.equal(notes.length, 1);
});

const drain: HostCommand = { kind: "drain" };
const disable: HostCommand = { kind: "set_enabled", enabled: false };

/** A host with instances of some services, more of `a` than fit into one commit, and another host. */
async function host(plane: TestPlane) {
  for (let n = 0; n < MOST_AT_ONCE + 1; n++) await plane.change(register("a", `i${n}`, { hostId: "h" }));
  for (const service of ["b", "c"]) {
    await plane.change(register(service, "mine", { hostId: "h" }));
    await plane.change(register(service, "other", { hostId: "g" }));
    await plane.change(register(service, "nowhere"));
  }
}

function onHost(plane: TestPlane, command: HostCommand, by: Caller = caller, id = "h") {
  return plane.operations.executeHost(by, LOCAL, id as never, command);
}

function off(plane: TestPlane, is: "draining" | "disabled"): string[] {
  return ["a", "b", "c"].flatMap((name) =>
    plane.service(name)?.instances.filter((one) => is === "draining" ? one.draining : !one.enabled).map(({ id }) =>
      id
    ) ??
      []
  );
}

Deno.test("a host's command reaches all instances of the host, of all services, and no other", async () => {
  await using plane = await testPlane();
  await host(plane);
  const mine = [...plane.ids("a"), "mine", "mine"];
  done(await onHost(plane, drain));
  assert.deepEqual(off(plane, "draining"), mine);
  done(await onHost(plane, disable));
  assert.deepEqual(off(plane, "disabled"), mine);
  const enabled = done(await onHost(plane, { kind: "set_enabled", enabled: true }));
  assert.deepEqual([off(plane, "disabled"), off(plane, "draining")], [[], []], "what is switched on drains no more");
  assert.equal(enabled.revision, plane.hub.current().position.revision);
  assert.deepEqual(done(await onHost(plane, { kind: "set_enabled", enabled: true })), enabled, "nothing is left to do");
  assert.equal(refusal(await onHost(plane, drain, caller, "nobody")).code, "not_found");
});

Deno.test("a host's command that is repeated is answered as it was, whatever the host runs by then", async () => {
  await using plane = await testPlane();
  await host(plane);
  const first = done(await onHost(plane, disable, again));
  assert.deepEqual(done(await onHost(plane, disable, again)), first);
  await plane.change(command("set_enabled", "b", { id: "mine", enabled: true }));
  await plane.change(register("d", "new", { hostId: "h" }));
  await plane.change(command("deregister", "c", { id: "mine" }));
  assert.deepEqual(done(await onHost(plane, disable, again)), first);
  assert.equal(off(plane, "disabled").includes("mine"), false, "what an operator did since stays");
  for (const service of ["a", "b", "d"]) await plane.change(command("delete_service", service, { force: true }));
  assert.deepEqual(done(await onHost(plane, disable, again)), first, "also of a host that is gone");
  assert.equal(refusal(await onHost(plane, drain, again)).code, "invalid");
  assert.equal(refusal(await onHost(plane, { kind: "set_enabled", enabled: true }, again)).code, "invalid");

  await using restarted = await testPlane({ store: plane.store, clock: plane.clock });
  assert.deepEqual(done(await onHost(restarted, disable, again)), first);
});

Deno.test("a host's command that is repeated while it is under way is answered alike", async () => {
  await using plane = await testPlane();
  await host(plane);
  const outcomes = await Promise.all(Array.from({ length: 3 }, () => onHost(plane, disable, again)));
  for (const outcome of outcomes) assert.deepEqual(done(outcome), done(outcomes[0]!));
});

Deno.test("a host's command passes over services that go meanwhile, and each commit says whose it is", async () => {
  const { store, beforeNextCommit } = interruptible();
  await using plane = await testPlane({ store });
  await host(plane);
  beforeNextCommit(() => plane.change(command("delete_service", "b", { force: true })));
  const { revision } = done(await onHost(plane, drain, again));
  assert.deepEqual(off(plane, "draining").slice(-2), ["i9", "mine"]);
  assert.equal((await store.read(operationKey(LOCAL, again.operationId!))).entries[0]?.revision, revision);
  for (const service of ["a", "c"]) {
    const [touch] = (await store.read(`map/local/${service}/touch`)).entries;
    assert.match(new TextDecoder().decode(touch?.value), /"operationId":"op-1"/);
  }
});

Deno.test("a host's command on what is all gone by then answers where the map stands", async () => {
  const { store, beforeNextCommit } = interruptible();
  await using plane = await testPlane({ store });
  await plane.change(register("a", "mine", { hostId: "h" }));
  beforeNextCommit(() => plane.change(command("delete_service", "a", { force: true })));
  assert.equal(done(await onHost(plane, drain)).revision, plane.hub.current().position.revision);
});

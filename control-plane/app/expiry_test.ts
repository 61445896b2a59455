import assert from "node:assert/strict";
import type { LeaseId, Realm } from "../domain/names.ts";
import { openMemoryStore } from "../store/memory.ts";
import type { Commit } from "../store/store.ts";
import type { Log } from "../../proto/log.ts";
import { startExpiry } from "./expiry.ts";
import {
  caller,
  command,
  done,
  interruptible,
  LOCAL,
  overlaid,
  register,
  TestClock,
  type TestPlane,
  testPlane,
} from "./testing.ts";

const TTL = 9_000;

/** A host: one lease for `count` instances of a service. */
async function host(plane: TestPlane, service: string, name: string, count = 1, realm = LOCAL, asked?: LeaseId) {
  let lease = asked;
  for (let n = 0; n < count; n++) {
    const registration = { ...register(service, `${name}-${n}`, { ttl: TTL }), realm };
    lease = (await plane.change(registration, caller, lease)).lease;
  }
  return lease!;
}

/** Lets time pass in steps; who is `beating` beats in each. */
async function pass(plane: TestPlane, ms: number, beating: readonly LeaseId[] = []) {
  for (let left = ms; left > 0; left -= 500) {
    plane.clock.pass(Math.min(left, 500));
    for (const lease of beating) assert.ok(plane.leases.beat(lease));
    await plane.look();
  }
}

Deno.test("one lease that is silent ends when its ttl has passed, with all that it holds, and nobody else's", async () => {
  await using plane = await testPlane();
  const crashed = await host(plane, "a", "crashed", 3);
  await host(plane, "b", "crashed", 2, LOCAL, crashed);
  const others = [await host(plane, "a", "well"), await host(plane, "b", "fine")];
  await plane.change(register("a", "permanent"));
  await pass(plane, TTL - 1, others);
  assert.deepEqual(plane.ids("a").length, 5);
  await pass(plane, 1, others);
  assert.deepEqual([plane.ids("a"), plane.ids("b")], [["permanent", "well-0"], ["fine-0"]]);
  assert.equal(plane.leases.beat(crashed), false);
  const [touch] = (await plane.store.read("map/local/a/touch")).entries;
  assert.match(new TextDecoder().decode(touch?.value), /"identity":"expiry","reason":"the lease ran out"/);
  await pass(plane, 3 * TTL, others);
  assert.deepEqual([plane.ids("a"), plane.ids("b")], [["permanent", "well-0"], ["fine-0"]]);
});

Deno.test("after a start nobody's lease ends before a whole ttl has passed", async () => {
  const clock = new TestClock();
  const first = await testPlane({ clock });
  const lease = await host(first, "a", "host", 2);
  await first[Symbol.asyncDispose]();
  clock.pass(10 * TTL);
  await using plane = await testPlane({ store: first.store, clock });
  await pass(plane, TTL - 1);
  assert.equal(plane.ids("a").length, 2);
  assert.ok(plane.leases.beat(lease));
  await pass(plane, TTL - 1);
  assert.equal(plane.ids("a").length, 2);
  await pass(plane, 1);
  assert.equal(plane.ids("a").length, 0);
});

Deno.test("jumps of the wall clock end no lease, and keep none", async () => {
  await using plane = await testPlane();
  const lease = await host(plane, "a", "well");
  await host(plane, "a", "crashed");
  for (const hours of [1, -2, 1]) {
    plane.clock.wallMs += hours * 3_600_000;
    await pass(plane, TTL / 3 - 1, [lease]);
    assert.equal(plane.ids("a").length, 2, `${hours} h`);
  }
  await pass(plane, 3, [lease]);
  assert.deepEqual(plane.ids("a"), ["well-0"]);
});

Deno.test("half of the hosts fall silent: they are held, shown, and come back by themselves", async () => {
  const warnings: string[] = [];
  const log: Log = { info() {}, warn: (message) => warnings.push(message), error() {} };
  await using plane = await testPlane({ log });
  const [well, lost]: [LeaseId[], LeaseId[]] = [[], []];
  for (let n = 0; n < 6; n++) (n % 2 === 0 ? well : lost).push(await host(plane, "a", `h${n}`, 2));
  const statuses = new Map(plane.ids("a").map((id) => [id as never, "passing" as const]));
  for (const lease of [...well, ...lost]) await plane.change(command("report", "a", { lease, statuses }));
  await pass(plane, 3 * TTL, well);
  const held = ["h1-0!", "h1-1!", "h3-0!", "h3-1!", "h5-0!", "h5-1!"];
  assert.deepEqual(plane.ids("a").filter((id) => id.endsWith("!")), held);
  assert.equal(plane.ids("a").length, 12);
  assert.deepEqual(
    plane.service("a")?.instances.map(({ status, held }) => `${held} ${status}`).sort().filter((one, i, all) =>
      one !== all[i - 1]
    ),
    ["false passing", "true unknown"],
  );
  assert.ok(warnings.includes("Too many leases ran out together: keeping what they hold"));
  const { revision } = plane.hub.current().position;
  await pass(plane, TTL, well);
  assert.equal(plane.hub.current().position.revision, revision, "nothing is written while nothing happens");

  await using restarted = await testPlane({ store: plane.store, clock: plane.clock });
  await pass(restarted, 3 * TTL, well);
  assert.deepEqual(restarted.ids("a").filter((id) => id.endsWith("!")), held, "a start releases nobody");

  // One comes back, then the others.
  await pass(restarted, TTL, [...well, lost[0]!]);
  assert.deepEqual(restarted.ids("a").filter((id) => id.endsWith("!")), held.slice(2));
  await pass(restarted, TTL, [...well, ...lost]);
  assert.deepEqual(restarted.ids("a").filter((id) => id.endsWith("!")), []);
  assert.equal(restarted.ids("a").length, 12);
});

Deno.test("who is held may register again, leave, or be let go", async () => {
  await using plane = await testPlane();
  const well = await host(plane, "a", "well");
  const lost = [await host(plane, "a", "x", 2), await host(plane, "a", "y", 2), await host(plane, "b", "z", 2)];
  await pass(plane, 2 * TTL, [well]);
  assert.deepEqual([plane.ids("a"), plane.ids("b")], [["well-0", "x-0!", "x-1!", "y-0!", "y-1!"], ["z-0!", "z-1!"]]);
  await plane.change(register("a", "x-0", { ttl: TTL }), caller, lost[0]);
  await plane.look();
  assert.deepEqual(plane.ids("a"), ["well-0", "x-0", "x-1", "y-0!", "y-1!"], "all of a lease come back together");
  await plane.change(command("deregister", "a", { id: "y-1" }));
  assert.equal(done(await plane.operations.releaseHeld(caller, LOCAL)).released, 3);
  assert.deepEqual([plane.ids("a"), plane.ids("b")], [["well-0", "x-0", "x-1"], []]);
  assert.equal(plane.leases.beat(lost[1]!), false);
});

Deno.test("a lone crash goes, though others are held since long", async () => {
  await using plane = await testPlane();
  const well = [await host(plane, "a", "well", 20), await host(plane, "a", "next", 1)];
  await host(plane, "a", "x", 6);
  await host(plane, "a", "y", 6);
  await pass(plane, 3 * TTL, well);
  assert.equal(plane.ids("a").filter((id) => id.endsWith("!")).length, 12);
  await pass(plane, TTL + 500, [well[0]!]);
  assert.equal(plane.ids("a").includes("next-0"), false);
  assert.equal(plane.ids("a").length, 32);
});

Deno.test("each realm is judged by itself, also where a lease holds something in two", async () => {
  const testing = "testing" as Realm;
  await using plane = await testPlane();
  // In one realm there is nobody else; in the other they are few among many.
  const both = [await host(plane, "a", "x", 3), await host(plane, "a", "y", 3)];
  for (const lease of both) await host(plane, "a", `t-${lease}`.slice(0, 9), 1, testing, lease);
  const well = await host(plane, "a", "well", 30, testing);
  await pass(plane, 2 * TTL, [well]);
  assert.deepEqual(plane.ids("a"), ["x-0!", "x-1!", "x-2!", "y-0!", "y-1!", "y-2!"]);
  assert.equal(plane.ids("a", testing).length, 30);
  // Who comes back has to register again in the one, so it is asked to; that ends what is held in the other.
  assert.equal(plane.leases.beat(both[0]!), false);
  await host(plane, "a", "x", 3);
  assert.deepEqual(plane.ids("a"), ["x-0", "x-1", "x-2", "y-0!", "y-1!", "y-2!"]);
});

Deno.test("an instance that registers anew while its lease ends stays; a beat that comes too late says so", async () => {
  const { store, beforeNextCommit } = interruptible();
  await using plane = await testPlane({ store });
  const old = await host(plane, "a", "host", 2);
  plane.clock.pass(TTL);
  let fresh: LeaseId | undefined;
  beforeNextCommit(async () => {
    assert.equal(plane.leases.beat(old), false);
    const refused = await plane.operations.execute(caller, register("a", "new", { ttl: TTL }), old);
    assert.ok(refused.kind === "refuse" && refused.code === "not_found");
    fresh = (await plane.change(register("a", "host-1", { ttl: TTL }))).lease;
  });
  await plane.look();
  assert.deepEqual(plane.ids("a"), ["host-1"]);
  assert.notEqual(fresh, old);
  assert.ok(plane.leases.beat(fresh!));
});

Deno.test("a service that is deleted while its leases end, and begun again, is no trouble", async () => {
  const { store, beforeNextCommit } = interruptible();
  await using plane = await testPlane({ store });
  const old = await host(plane, "a", "host", 2);
  plane.clock.pass(TTL);
  beforeNextCommit(() => plane.change(command("delete_service", "a", { force: true })));
  assert.ok(await plane.look());
  assert.equal(plane.service("a"), undefined);
  assert.deepEqual([plane.leases.size, plane.leases.beat(old)], [0, false]);
  const fresh = await host(plane, "a", "host", 2);
  await pass(plane, 2 * TTL, [fresh]);
  assert.deepEqual(plane.ids("a"), ["host-0", "host-1"]);
});

Deno.test("a removal that the store refuses is tried again, and its lease is over from its beginning", async () => {
  const memory = openMemoryStore();
  let left = Infinity;
  const full: Commit = { kind: "refused", reason: "the disk is full" };
  const store = overlaid(memory, { commit: async (...how) => left-- > 0 ? await memory.commit(...how) : full });
  await using plane = await testPlane({ store });
  const lease = await host(plane, "a", "host", 2);
  await host(plane, "b", "host", 2, LOCAL, lease);
  plane.clock.pass(TTL);
  left = 1;
  assert.equal(await plane.look(), false);
  assert.equal(plane.ids("a").length + plane.ids("b").length, 2, "one of two services is done");
  assert.equal(plane.leases.beat(lease), false, "or its holder would believe that all of it is there");
  left = Infinity;
  assert.equal(await plane.look(), true);
  assert.equal(plane.ids("a").length + plane.ids("b").length, 0);
});

Deno.test("what could not be held is held later, and what could not come back comes back later", async () => {
  const memory = openMemoryStore();
  let left = Infinity;
  const full: Commit = { kind: "refused", reason: "the disk is full" };
  const store = overlaid(memory, { commit: async (...how) => left-- > 0 ? await memory.commit(...how) : full });
  await using plane = await testPlane({ store });
  const leases = [await host(plane, "a", "x", 3), await host(plane, "a", "y", 3)];
  for (const [n, lease] of leases.entries()) await host(plane, "b", `h${n}`, 1, LOCAL, lease);
  const held = () => [...plane.ids("a"), ...plane.ids("b")].filter((id) => id.endsWith("!")).length;
  left = 1;
  plane.clock.pass(TTL);
  assert.equal(await plane.look(), false);
  assert.ok(held() > 0 && held() < 8);
  left = Infinity;
  assert.equal(await plane.look(), true);
  assert.equal(held(), 8);
  left = 1;
  plane.clock.pass(TTL);
  for (const lease of leases) assert.ok(plane.leases.beat(lease));
  assert.equal(await plane.look(), false);
  assert.ok(held() > 0 && held() < 8);
  left = Infinity;
  assert.equal(await plane.look(), true);
  assert.equal(held(), 0);
});

/** Time that passes by itself, and jumps when told. */
class RunningClock extends TestClock {
  override monotonic = () => performance.now() + this.monotonicMs;
}

/** Runs the loop over a plane; `paused` resolves when it has noticed a pause. */
function running(plane: TestPlane) {
  const paused = Promise.withResolvers<void>();
  const warn = (message: string) => message === "Was paused: leases begin again" && paused.resolve();
  const log: Log = { info() {}, warn, error: (message) => assert.fail(message) };
  return { paused: paused.promise, expiry: startExpiry({ ...plane, clock: plane.clock, log }) };
}

const within = (plane: TestPlane) => plane.leases.nextEnd() - plane.clock.monotonic();

Deno.test("after a pause of the process nobody's lease ends before a whole ttl has passed", async () => {
  await using plane = await testPlane({ clock: new RunningClock() });
  await host(plane, "a", "host", 2);
  const { paused, expiry } = running(plane);
  await using _expiry = expiry;
  plane.clock.pass(30_000);
  await paused;
  assert.ok(within(plane) > TTL - 1_000, `${within(plane)} ms`);
  assert.equal(plane.ids("a").length, 2);
});

Deno.test("a pause is noticed while a look waits for the store, too", async () => {
  const { store, beforeNextCommit } = interruptible();
  await using plane = await testPlane({ store, clock: new RunningClock() });
  await plane.change(register("a", "first", { ttl: 1_000 }));
  await host(plane, "a", "second");
  const { paused, expiry } = running(plane);
  await using _expiry = expiry;
  // The first ends; while its removal waits, the process is paused.
  const waits = Promise.withResolvers<void>();
  const goesOn = Promise.withResolvers<void>();
  beforeNextCommit(async () => {
    waits.resolve();
    await goesOn.promise;
  });
  await waits.promise;
  plane.clock.pass(30_000);
  await paused;
  assert.ok(within(plane) > TTL - 1_000, `${within(plane)} ms`);
  goesOn.resolve();
});

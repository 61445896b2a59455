import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import type { RegisterRequest } from "../proto/gen/portolan/v1/registry_pb.ts";
import type { Fields, Log } from "../proto/log.ts";
import { turn } from "../proto/testing/turn.ts";
import { register } from "./register.ts";
import { TestClock } from "./testing/clock.ts";
import { beat, BEAT_MS, hear, options, Plane, said, TTL_MS, untilNext } from "./testing/plane.ts";

Deno.test("a lease that is over is opened anew: all register again, as who they were, in writes of their own", async () => {
  const clock = new TestClock();
  const { log, lines } = listened("instance");
  await using plane = await Plane.serve();
  await using one = await register(options([plane], "i1", { log }), clock);
  await using two = await register(options([plane], "i2"), clock);
  const stream = await plane.stream();
  one.report("passing");
  for (const alive of [true, true, false]) {
    await beat(stream, clock, alive);
    if (alive) (await untilNext(clock)).end();
  }
  // The first beat of the new lease, right after the answer.
  const first = await hear(stream);
  assert.deepEqual([first.leaseId, said(first)], ["l2", ["i1 PASSING"]], "what the old lease was told is said again");
  while (plane.registered.length < 4) await turn();
  assert.deepEqual(plane.registered.map(({ id, leaseId }) => `${id} ${leaseId}`), ["i1 ", "i2 l1", "i1 ", "i2 l2"]);
  assert.equal(new Set(plane.registered.map(({ options }) => options?.operationId)).size, 4);
  clock.pass(1);
  stream.send("l2", true);
  (await untilNext(clock)).end();
  assert.deepEqual(said(await beat(stream, clock)), []);
  assert.deepEqual([one.alive, two.alive, one.revision], [true, true, 3n]);
  assert.deepEqual(lines, ["The lease is over: registering again", "Registered again identity/i1"]);
});

Deno.test("a lease that is found to be over by who joins it is opened anew, for the others too", async () => {
  const clock = new TestClock();
  let over = "";
  const registered: string[] = [];
  await using plane = await Plane.serve({
    register: ({ id, leaseId }: RegisterRequest) => {
      registered.push(`${id} ${leaseId}`);
      if (over && leaseId === over) return { code: status.NOT_FOUND, details: "it holds nothing any more" };
      return { revision: 1n, leaseId: leaseId || plane.open() };
    },
  });
  await using _one = await register(options([plane], "i1"), clock);
  await beat(await plane.stream(), clock);
  await untilNext(clock);
  over = "l1";
  await using two = await register(options([plane], "i2"), clock);
  while (registered.length < 4) await turn();
  assert.deepEqual(registered.slice(2).map((one) => one.slice(3)).sort(), ["", "l2"], "one opens it, the other joins");
  assert.equal(two.alive, true);
});

Deno.test("who joins a lease that is over meanwhile joins the next one, and says then what it observes", async () => {
  const clock = new TestClock();
  let gate = Promise.withResolvers<void>();
  const registered: string[] = [];
  await using plane = await Plane.serve({
    register: async ({ id, leaseId }: RegisterRequest) => {
      registered.push(`${id} ${leaseId}`);
      if (id === "i2") await gate.promise;
      return { revision: 1n, leaseId: leaseId || plane.open() };
    },
  });
  await using _one = await register(options([plane], "i1"), clock);
  const joining = register(options([plane], "i2"), clock);
  const stream = await plane.stream();
  await beat(stream, clock);
  while (registered.length < 2) await turn();
  const next = async (alive = true) => ((await untilNext(clock)).end(), said(await beat(stream, clock, alive)));
  await next(false);
  await beat(stream, clock);
  gate.resolve();
  await using two = await joining;
  assert.deepEqual(registered, ["i1 ", "i2 l1", "i1 ", "i2 l2"]);
  two.report("failing");
  assert.deepEqual(await next(), ["i2 FAILING"]);

  // Now it comes late to the third.
  gate = Promise.withResolvers();
  await next(false);
  const first = await beat(stream, clock);
  assert.deepEqual([first.leaseId, said(first), two.alive], ["l3", [], false]);
  gate.resolve();
  while (!two.alive) await turn();
  assert.deepEqual(await next(), ["i2 FAILING"]);
});

Deno.test("what comes late of a lease that is over says nothing of the next one, which has its first beat at once", async () => {
  const clock = new TestClock();
  let over = "";
  await using plane = await Plane.serve({
    register: ({ leaseId }: RegisterRequest) =>
      over && leaseId === over
        ? { code: status.NOT_FOUND, details: "it holds nothing any more" }
        : { revision: 1n, leaseId: leaseId || plane.open() },
  });
  await using one = await register(options([plane], "i1"), clock);
  const stream = await plane.stream();
  await beat(stream, clock);
  one.report("failing");
  (await untilNext(clock)).end();
  assert.deepEqual(said(await hear(stream)), ["i1 FAILING"]);
  over = "l1";
  await using _two = await register(options([plane], "i2"), clock);
  while (!one.alive) await turn();
  stream.send("l1", true);
  const first = await beat(stream, clock);
  assert.deepEqual([first.leaseId, said(first)], ["l2", ["i1 FAILING"]]);
});

Deno.test("a lease that no beat was good for is not opened anew at once", async () => {
  const clock = new TestClock();
  await using plane = await Plane.serve();
  await using registration = await register(options([plane]), clock);
  const stream = await plane.stream();
  const request = await hear(stream);
  stream.send(request.leaseId, false);
  while (registration.alive) await turn();
  const pause = await clock.nap(BEAT_MS);
  assert.equal(plane.registered.length, 1);
  pause.end();
  assert.equal((await beat(stream, clock)).leaseId, "l2");
});

Deno.test("a registration that cannot come back goes on asking, and leaves when it is told to", async () => {
  const clock = new TestClock();
  let refusing = false;
  await using plane = await Plane.serve({
    register: () =>
      refusing ? { code: status.PERMISSION_DENIED, details: "not you" } : { revision: 1n, leaseId: plane.open() },
  });
  const registration = await register(options([plane]), clock);
  const stream = await plane.stream();
  await beat(stream, clock);
  (await untilNext(clock)).end();
  refusing = true;
  await beat(stream, clock, false);
  for (const ms of [50, 100, 200]) (await clock.nap(ms)).end();
  await clock.nap(400);
  assert.equal(registration.alive, false);
  await registration[Symbol.asyncDispose]();
  assert.equal((await stream.heard.next()).done, true);
  assert.deepEqual(plane.deregistered.map(({ id }) => id), ["i1"]);
});

Deno.test("one that is refused does not keep the others from opening a lease", async () => {
  const clock = new TestClock();
  await using plane = await Plane.serve({
    register: ({ id, leaseId }: RegisterRequest) =>
      id === "i1"
        ? { code: status.RESOURCE_EXHAUSTED, details: "too large" }
        : { revision: 1n, leaseId: leaseId || plane.open() },
  });
  const stop = new AbortController();
  const refused = register(options([plane], "i1", { signal: stop.signal }), clock);
  await using registration = await register(options([plane], "i2"), clock);
  assert.equal(registration.alive, true);
  stop.abort();
  await assert.rejects(refused, /given up/);
  assert.equal((await beat(await plane.stream(), clock)).leaseId, "l1", "the lease ended with who never joined it");
});

Deno.test("after a ttl of silence all register again where they are gone, and say what they observe", async () => {
  const clock = new TestClock();
  const { log, lines } = listened("instance", "silentMs");
  const there = new Set<string>();
  const registered: string[] = [];
  await using plane = await Plane.serve({
    register: ({ id, leaseId, options }: RegisterRequest) => {
      const expected = options?.expectedRevision;
      registered.push(`${id} ${leaseId}${expected === undefined ? "" : ` if at ${expected}`}`);
      if (expected === 0n && there.has(id)) return { code: status.FAILED_PRECONDITION, details: "it exists" };
      there.add(id);
      return { revision: BigInt(registered.length), leaseId: leaseId || plane.open() };
    },
  });
  await using one = await register(options([plane], "i1", { log }), clock);
  await using two = await register(options([plane], "i2", { log }), clock);
  const stream = await plane.stream();
  await beat(stream, clock);
  one.report("passing");
  two.report("failing");
  for (const pauseMs of [0, TTL_MS - BEAT_MS - 2]) {
    const pause = await untilNext(clock);
    clock.pass(pauseMs);
    pause.end();
    await beat(stream, clock);
  }
  assert.equal(registered.length, 2, "a ttl has not passed");
  assert.deepEqual(lines, []);

  const pause = await untilNext(clock);
  clock.pass(TTL_MS);
  there.delete("i2");
  pause.end();
  await beat(stream, clock);
  while (!one.alive || !two.alive) await turn();
  assert.deepEqual(registered.slice(2).sort(), ["i1 l1 if at 0", "i2 l1 if at 0"]);
  assert.deepEqual(lines, [`The lease is renewed again ${BEAT_MS + TTL_MS + 1}`, "Registered again identity/i2"]);
  assert.deepEqual([one.revision, [3n, 4n].includes(two.revision)], [1n, true]);
  (await untilNext(clock)).end();
  assert.deepEqual(said(await beat(stream, clock)), ["i1 PASSING", "i2 FAILING"]);
  (await untilNext(clock)).end();
  assert.deepEqual([said(await beat(stream, clock)), registered.length, lines.length], [[], 4, 2]);
});

Deno.test("a beat that tells of another epoch has all register again where they are gone", async () => {
  const clock = new TestClock();
  const expected: unknown[] = [];
  await using plane = await Plane.serve({
    register: ({ leaseId, options }: RegisterRequest) => {
      if (leaseId !== "") expected.push(options?.expectedRevision);
      return { revision: 1n, leaseId: leaseId || plane.open() };
    },
  });
  await using one = await register(options([plane], "i1"), clock);
  const stream = await plane.stream();
  for (const [epoch, times] of [[5n, 0], [5n, 0], [6n, 1], [6n, 1], [4n, 2]] as const) {
    await beat(stream, clock, true, epoch);
    const next = await untilNext(clock);
    while (!one.alive) await turn();
    assert.equal(expected.length, times, `after epoch ${epoch}`);
    next.end();
  }
  assert.deepEqual(expected, [0n, 0n]);
  await hear(stream);
});

Deno.test("who is doubted, and finds the lease to be over, opens another one, whatever is there of the old one", async () => {
  const clock = new TestClock();
  let over = false;
  const registered: string[] = [];
  await using plane = await Plane.serve({
    register: ({ leaseId, options }: RegisterRequest) => {
      registered.push(`${leaseId} ${options?.expectedRevision ?? "-"}`);
      if (over && leaseId === "l1") return { code: status.NOT_FOUND, details: "it ends" };
      if (options?.expectedRevision === 0n) return { code: status.FAILED_PRECONDITION, details: "it exists" };
      return { revision: 1n, leaseId: leaseId || plane.open() };
    },
  });
  await using one = await register(options([plane], "i1"), clock);
  const stream = await plane.stream();
  await beat(stream, clock);
  const pause = await untilNext(clock);
  clock.pass(TTL_MS);
  over = true;
  pause.end();
  await beat(stream, clock);
  while (!one.alive) await turn();
  assert.deepEqual(registered, [" -", "l1 0", " -"]);
  (await untilNext(clock)).end();
  assert.equal((await beat(stream, clock)).leaseId, "l2");
});

Deno.test("the first good beat after others that failed is logged, once, and why those failed in few words", async () => {
  const clock = new TestClock();
  const { log, lines } = listened("reason", "silentMs");
  const gone = await Plane.serve();
  await gone[Symbol.asyncDispose]();
  await using plane = await Plane.serve();
  const refused = `connect ECONNREFUSED ${gone.address}`;
  const registering = register(options([gone, plane], "i1", { log }), clock);
  (await clock.nap(50)).end();
  await using registration = await registering;
  const stream = await plane.stream();
  await beat(stream, clock);
  (await untilNext(clock)).end();
  await hear(stream);
  stream.close(status.UNAVAILABLE, "going away");
  for (const ms of [50, 100]) (await clock.nap(ms)).end();
  const next = await plane.stream();
  await beat(next, clock);
  (await untilNext(clock)).end();
  await beat(next, clock);
  (await untilNext(clock)).end();
  await hear(next);
  assert.deepEqual(lines, [
    `Cannot register "identity/i1" yet ${refused}`,
    "A beat of the lease was not answered going away",
    `A beat of the lease was not answered ${refused}`,
    `The lease is renewed again ${BEAT_MS + 50 + 100 + 1}`,
  ]);
  assert.deepEqual([registration.alive, plane.registered.length], [true, 1]);
});

/** Lines of a log, each with those of the named fields that it has. */
function listened(...names: readonly string[]) {
  const lines: string[] = [];
  const line = (message: string, fields: Fields = {}) =>
    lines.push([message, ...names.flatMap((name) => name in fields ? [`${fields[name]}`] : [])].join(" "));
  const log: Log = { info: line, warn: line, error: line };
  return { log, lines };
}

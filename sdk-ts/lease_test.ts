import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import type { RegisterRequest } from "../proto/gen/portolan/v1/registry_pb.ts";
import { turn } from "../proto/testing/turn.ts";
import { register } from "./register.ts";
import { TestClock } from "./testing/clock.ts";
import { beat, BEAT_MS, hear, options, Plane, said, TTL_MS, untilNext } from "./testing/plane.ts";

Deno.test("a registration with a ttl beats at once, then three times per ttl, over one stream, and ends it", async () => {
  const clock = new TestClock();
  await using plane = await Plane.serve();
  const registration = await register(options([plane]), clock);
  assert.equal(plane.registered[0]?.instance?.ttl?.seconds, 15n);
  const stream = await plane.stream();
  for (let at = 0; at < 4; at++) {
    assert.equal((await beat(stream, clock)).leaseId, "l1");
    (await untilNext(clock)).end();
  }
  await hear(stream);
  await registration[Symbol.asyncDispose]();
  assert.equal((await stream.heard.next()).done, true, "the stream goes on");
  assert.deepEqual(plane.deregistered.map(({ id }) => id), ["i1"]);
  assert.equal(plane.waiting, 0);
});

Deno.test("registrations of one process share a lease and a stream; the last one that leaves ends it", async () => {
  const clock = new TestClock();
  await using plane = await Plane.serve();
  const registrations = await Promise.all(
    ["i1", "i2", "i3"].map((id) => register(options([plane], id, { realm: id === "i3" ? "other" : "local" }), clock)),
  );
  assert.deepEqual(plane.registered.map(({ leaseId }) => leaseId), ["", "l1", "l1"]);
  const stream = await plane.stream();
  await beat(stream, clock);
  assert.ok(registrations.every(({ alive }) => alive));
  for (const one of registrations.slice(0, 2)) await one[Symbol.asyncDispose]();
  (await untilNext(clock)).end();
  await beat(stream, clock);
  await registrations[2]?.[Symbol.asyncDispose]();
  assert.equal((await stream.heard.next()).done, true);
  assert.equal(plane.waiting, 0);

  // Nothing of it is left for whoever comes next.
  await using _ = await register(options([plane], "i4"), clock);
  assert.equal(plane.registered.at(-1)?.leaseId, "");
  await hear(await plane.stream());
});

Deno.test("a registration with another ttl has another lease", async () => {
  const clock = new TestClock();
  await using plane = await Plane.serve();
  await using _one = await register(options([plane]), clock);
  const instance = { host: "127.0.0.1", port: 8080, ttlMs: 60_000 };
  await using _two = await register(options([plane], "i2", { instance }), clock);
  assert.deepEqual(plane.registered.map(({ leaseId }) => leaseId), ["", ""]);
});

Deno.test("statuses are said when they change, with the next beat, and all of them over a new stream", async () => {
  const clock = new TestClock();
  await using plane = await Plane.serve();
  await using one = await register(options([plane], "i1"), clock);
  await using two = await register(options([plane], "i2"), clock);
  const stream = await plane.stream();
  assert.deepEqual(said(await beat(stream, clock)), []);
  const next = async () => ((await untilNext(clock)).end(), said(await beat(stream, clock)));
  one.report("passing");
  two.report("failing");
  assert.deepEqual(await next(), ["i1 PASSING", "i2 FAILING"]);
  one.report("passing");
  assert.deepEqual(await next(), []);
  two.report("passing");
  two.report("unknown");
  assert.deepEqual(await next(), ["i2 UNKNOWN"]);

  (await untilNext(clock)).end();
  await hear(stream);
  two.report("passing");
  stream.close(status.UNAVAILABLE, "going away");
  (await clock.nap(50)).end();
  const second = await plane.stream();
  assert.deepEqual(said(await beat(second, clock)), ["i1 PASSING", "i2 PASSING"]);

  // A whole ttl of silence: the map may have forgotten what it was told.
  const pause = await untilNext(clock);
  clock.pass(TTL_MS);
  pause.end();
  assert.deepEqual(said(await beat(second, clock)), ["i1 PASSING", "i2 PASSING"]);
});

Deno.test("beats move on to the next control plane when a stream breaks, or a beat is not answered in time", async () => {
  const clock = new TestClock();
  await using first = await Plane.serve();
  await using second = await Plane.serve();
  await using registration = await register(options([first, second]), clock);
  const broken = await first.stream();
  await beat(broken, clock);
  const pause = await untilNext(clock);
  broken.close(status.UNAVAILABLE, "going away");
  pause.end();
  (await clock.nap(50)).end();

  const silent = await second.stream();
  assert.equal((await hear(silent)).leaseId, "l1");
  (await clock.nap(BEAT_MS)).end();
  assert.equal(registration.alive, true);
  (await clock.nap(100)).end();
  const stream = await first.stream();
  assert.equal((await hear(stream)).leaseId, "l1");
  clock.pass(BEAT_MS);
  assert.equal(registration.alive, false, "nobody answered for a whole ttl");
  stream.send("l1", true);
  const over = await clock.nap(0);
  while (!registration.alive) await turn();
  stream.close(status.UNAVAILABLE, "going away");
  over.end();
  (await clock.nap(50)).end();
  assert.equal((await hear(await second.stream())).leaseId, "l1");
});

Deno.test("a registration whose answer is lost says the same operation again; what is refused leaves no lease", async () => {
  const clock = new TestClock();
  const registered: RegisterRequest[] = [];
  await using plane = await Plane.serve({
    register: (request: RegisterRequest) => {
      registered.push(request);
      if (registered.length === 1) return { code: status.UNKNOWN, details: "perhaps" };
      if (registered.length === 2) return { code: status.INVALID_ARGUMENT, details: "ttl: expected 1 s to 24 h" };
      return { revision: 1n, leaseId: "l1" };
    },
  });
  const refused = register(options([plane]), clock);
  (await clock.nap(50)).end();
  await assert.rejects(refused, /Cannot register "identity\/i1": ttl: expected/);
  const [first, again] = registered.map(({ options }) => options?.operationId ?? "");
  assert.equal(first, again);
  assert.match(again ?? "", /^[0-9a-f-]{36}$/);
  const registration = await register(options([plane]), clock);
  assert.notEqual(registered[2]?.options?.operationId, first);
  const stream = await plane.stream();
  await hear(stream);
  await registration[Symbol.asyncDispose]();
  assert.equal((await stream.heard.next()).done, true, "somebody is left");
});

Deno.test("a registration that goes on under a lease that others opened meanwhile is another write", async () => {
  const clock = new TestClock();
  const registered: RegisterRequest[] = [];
  await using plane = await Plane.serve({
    register: (request: RegisterRequest) => {
      registered.push(request);
      if (registered.length === 1) return { code: status.UNKNOWN, details: "perhaps" };
      return { revision: 1n, leaseId: request.leaseId || plane.open() };
    },
  });
  const slow = register(options([plane], "i1"), clock);
  const pause = await clock.nap(50);
  await using _other = await register(options([plane], "i2"), clock);
  pause.end();
  await using _slow = await slow;
  assert.deepEqual(registered.map(({ id, leaseId }) => `${id} ${leaseId}`), ["i1 ", "i2 ", "i1 l1"]);
  assert.equal(new Set(registered.map(({ options }) => options?.operationId)).size, 3);
});

Deno.test("a permanent registration has no beats, and no status to say", async () => {
  const clock = new TestClock();
  await using plane = await Plane.serve();
  await using registration = await register(
    options([plane], "i1", { instance: { host: "127.0.0.1", port: 8080 } }),
    clock,
  );
  assert.equal(registration.alive, true);
  assert.throws(
    () => registration.report("failing"),
    /Cannot report "identity\/i1" as failing: it is registered for good/,
  );
  assert.equal(plane.registered[0]?.leaseId, "");
  assert.equal(plane.waiting, 0);
});

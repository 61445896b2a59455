import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import type { RegisterRequest } from "../proto/gen/portolan/v1/registry_pb.ts";
import { turn } from "../proto/testing/turn.ts";
import { type Keeping, type KeepOptions, keepRegistered } from "./register.ts";
import { TestClock } from "./testing/clock.ts";
import { beat, hear, options, Plane, said, TTL_MS, untilNext } from "./testing/plane.ts";

Deno.test("what is kept is registered without waiting, and is told of at once", async () => {
  const clock = new TestClock();
  const held: string[] = [];
  await using plane = await Plane.serve();
  const kept = keep(plane, clock, "i1", { onHeld: (leaseId, { port }) => held.push(`${leaseId} ${port}`) });
  kept.report("failing");
  const stream = await plane.stream();
  assert.deepEqual(said(await beat(stream, clock)), ["i1 FAILING"]);
  // It was registered while that beat was under way, as far as it knows.
  assert.deepEqual(said(await beat(stream, clock)), []);
  await untilNext(clock);
  kept.report("failing");
  kept.report("passing");
  assert.deepEqual(said(await beat(stream, clock)), ["i1 PASSING"]);
  await untilNext(clock);
  const waits = clock.begun.length;
  kept.report("passing");
  for (let turns = 0; turns < 5; turns++) await turn();
  assert.equal(clock.begun.length, waits, "there is nothing to say");
  assert.deepEqual([held, kept.alive, kept.revision], [["l1 8080"], true, 1n]);
  await kept.release();
});

Deno.test("what changes is registered again, under its lease; a change that comes meanwhile is not lost", async () => {
  const clock = new TestClock();
  const held: number[] = [];
  const registered: string[] = [];
  let gate = Promise.withResolvers<void>();
  await using plane = await Plane.serve({
    register: async ({ leaseId, instance, options }: RegisterRequest) => {
      registered.push(`${leaseId} ${instance?.port} ${options?.expectedRevision ?? "-"}`);
      await gate.promise;
      return { revision: BigInt(registered.length), leaseId: leaseId || plane.open() };
    },
  });
  const kept = keep(plane, clock, "i1", { onHeld: (_, { port }) => held.push(port) });
  while (registered.length < 1) await turn();
  kept.change({ host: "127.0.0.1", port: 2 });
  gate.resolve();
  while (held.length < 2) await turn();
  gate = Promise.withResolvers();
  for (const port of [3, 4, 5]) kept.change({ host: "127.0.0.1", port });
  gate.resolve();
  while (held.at(-1) !== 5) await turn();
  assert.deepEqual(registered, [" 8080 -", "l1 2 -", "l1 3 -", "l1 5 -"]);
  assert.deepEqual([held, kept.revision], [[8080, 2, 3, 5], 4n]);
  await kept.release();
});

Deno.test("what is refused is tried again, with what is said by then", async () => {
  const clock = new TestClock();
  const ports: (number | undefined)[] = [];
  await using plane = await Plane.serve({
    register: ({ instance }: RegisterRequest) => {
      ports.push(instance?.port);
      if (instance?.port === 8080) return { code: status.PERMISSION_DENIED, details: "not you" };
      return { revision: 1n, leaseId: plane.open() };
    },
  });
  const kept = keep(plane, clock);
  const pause = await clock.nap(await retry(clock, 1));
  assert.deepEqual([kept.lastError, kept.alive], ["not you", false]);
  kept.change({ host: "127.0.0.1", port: 2 });
  pause.end();
  while (!kept.alive) await turn();
  assert.equal(kept.lastError, undefined);
  assert.deepEqual(ports.slice(0, 2), [8080, 2]);
  await kept.release();
});

Deno.test("who is released stays on the map, and whoever resumes its lease changes nothing that is there", async () => {
  const clock = new TestClock();
  const there = new Set<string>();
  const registered: string[] = [];
  await using plane = await Plane.serve({
    register: ({ id, leaseId, options }: RegisterRequest) => {
      const expected = options?.expectedRevision;
      registered.push(`${id} ${leaseId} ${expected ?? "-"}`);
      if (expected === 0n && there.has(id)) return { code: status.FAILED_PRECONDITION, details: "it exists" };
      there.add(id);
      return { revision: 1n, leaseId: leaseId || plane.open() };
    },
  });
  const first = keep(plane, clock);
  const stream = await plane.stream();
  await beat(stream, clock);
  await untilNext(clock);
  await first.release();
  assert.equal((await stream.heard.next()).done, true);
  assert.deepEqual(plane.deregistered, []);

  const held: string[] = [];
  const resume = { leaseId: "l1", held: true };
  const more = { resume, onHeld: (leaseId: string) => held.push(leaseId) };
  const [second, lost] = [keep(plane, clock, "i1", more), keep(plane, clock, "i2", more)];
  const fresh = keep(plane, clock, "i3", { resume: { ...resume, held: false } });
  const next = await plane.stream();
  assert.equal((await beat(next, clock)).leaseId, "l1");
  while (!second.alive || !lost.alive || !fresh.alive) await turn();
  assert.deepEqual(registered.slice(1).sort(), ["i1 l1 0", "i2 l1 0", "i3 l1 -"]);
  assert.deepEqual([held, second.revision, lost.revision], [["l1", "l1"], 0n, 1n]);
  second.report("passing");
  assert.deepEqual(said(await beat(next, clock)), ["i1 PASSING"]);
  await Promise.all([second, lost, fresh].map((one) => one.release()));
});

Deno.test("a lease to resume that is over is opened anew at once, and what it held is registered anew", async () => {
  for (const finds of ["the registration", "the beat"]) {
    const clock = new TestClock();
    const registered: string[] = [];
    await using plane = await Plane.serve({
      register: ({ leaseId, options }: RegisterRequest) => {
        registered.push(`${leaseId} ${options?.expectedRevision ?? "-"}`);
        if (leaseId !== "gone") return { revision: 1n, leaseId: leaseId || plane.open() };
        if (finds === "the beat") return { code: status.FAILED_PRECONDITION, details: "it exists" };
        return { code: status.NOT_FOUND, details: "it holds nothing" };
      },
    });
    const kept = keep(plane, clock, "i1", { resume: { leaseId: "gone", held: true } });
    const stream = await plane.stream();
    while (registered.length < 1) await turn();
    const first = await hear(stream);
    if (finds === "the beat") {
      while (!kept.alive) await turn();
      stream.send(first.leaseId, false);
    } else {
      while (registered.length < 2) await turn();
      stream.send(first.leaseId, false);
    }
    assert.equal((await beat(stream, clock)).leaseId, "l1", finds);
    assert.deepEqual(registered, ["gone 0", " -"], finds);
    await kept.release();
  }
});

Deno.test("what is retired is not put back; its lease goes on until it is released", async () => {
  const clock = new TestClock();
  await using plane = await Plane.serve();
  const [kept, other] = [keep(plane, clock), keep(plane, clock, "i2")];
  const stream = await plane.stream();
  await beat(stream, clock, true, 1n);
  while (!kept.alive || !other.alive) await turn();
  kept.retire();
  const ids = () => plane.registered.map(({ id }) => id).sort().join(" ");
  assert.equal(ids(), "i1 i2");
  // Of another epoch: both may be gone.
  (await untilNext(clock)).end();
  await beat(stream, clock, true, 2n);
  while (plane.registered.length < 3 || !other.alive) await turn();
  assert.equal(ids(), "i1 i2 i2");
  await other.release();
  (await untilNext(clock)).end();
  await beat(stream, clock, true, 2n);
  await kept.release();
  assert.equal((await stream.heard.next()).done, true);
  assert.deepEqual(plane.deregistered, []);
});

function keep(plane: Plane, clock: TestClock, id = "i1", more: Partial<KeepOptions> = {}): Keeping {
  const { instance: { ttlMs: _, ...instance }, ...rest } = options([plane], id);
  return keepRegistered({ ...rest, instance, ttlMs: TTL_MS, ...more }, clock);
}

/** How long the pause after so many failures is. */
async function retry({ begun }: TestClock, failures: number): Promise<number> {
  while (begun.length < failures) await turn();
  return begun[failures - 1] as number;
}

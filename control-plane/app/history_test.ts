import assert from "node:assert/strict";
import fc from "fast-check";
import { type ClusterMap, findService } from "../domain/cluster_map.ts";
import type { Realm, Revision, ServiceName } from "../domain/names.ts";
import { anyCommand } from "../domain/testing.ts";
import { history, type HistoryEntry, type HistoryQuery } from "./history.ts";
import { openMemoryStore } from "../store/memory.ts";
import { caller, command, LOCAL, operation, overlaid, register, type TestPlane, testPlane } from "./testing.ts";

async function told(plane: TestPlane, query: Partial<HistoryQuery> = {}): Promise<HistoryEntry[]> {
  const entries = history(plane.store, { realm: LOCAL, after: 0n as Revision, ...query });
  return await Array.fromAsync(entries);
}

const a = "a" as ServiceName;

const anyQuery = fc.record({
  realm: fc.constantFrom(LOCAL, LOCAL, LOCAL, "testing" as Realm),
  service: fc.option(fc.constantFrom("a", "b") as fc.Arbitrary<ServiceName>, { nil: undefined, freq: 2 }),
  after: fc.oneof(fc.constant(0), fc.nat({ max: 20 })),
  limit: fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined, freq: 2 }),
  operationId: fc.option(fc.constantFrom("op-0", "op-1"), { nil: undefined, freq: 2 }),
  forgotten: fc.option(fc.nat({ max: 20 }), { freq: 2 }),
});

Deno.test("history() tells each change of a service with what was before and after it, exactly", async () => {
  // Where nothing drains each command is one commit.
  const one = anyCommand.filter(({ kind }) => kind !== "drain");
  const commands = fc.array(fc.tuple(one, fc.integer({ min: 0, max: 9 })), { minLength: 20, maxLength: 40 });
  let entries = 0;
  await fc.assert(
    fc.asyncProperty(anyQuery, commands, async ({ forgotten, realm, service, after, limit, operationId }, list) => {
      await using plane = await testPlane();
      const expected: { realm: Realm; operationId: string; entry: HistoryEntry }[] = [];
      for (const [n, [command, id]] of list.entries()) {
        plane.clock.pass(10);
        const by = { identity: `user-${n}`, reason: n % 2 === 0 ? "" : "because" };
        const before = plane.hub.current();
        await plane.operations.execute({ ...by, ...(id < 2 && { operationId: `op-${id}-${n}` as never }) }, command);
        const now = plane.hub.current();
        if (now === before) continue;
        const { revision } = now.position;
        const note = {
          time: plane.clock.wallMs,
          identity: by.identity,
          ...(by.reason && { reason: by.reason }),
          operation: command.kind,
          ...(id < 2 && { operationId: `op-${id}-${n}` as never }),
        };
        const [was, is] = [before, now].map((map: ClusterMap) => findService(map, command.realm, command.service));
        expected.push({
          realm: command.realm,
          operationId: id < 2 ? `op-${id}-${n}` : "",
          entry: { revision, service: command.service, note, ...(was && { before: was }), ...(is && { after: is }) },
        });
        if (n === forgotten) await plane.store.forget(revision);
      }
      const wanted = operationId && expected.find((one) => one.operationId.startsWith(operationId))?.operationId;
      const oldest = plane.store.remembered();
      const matching = expected.filter((one) =>
        one.realm === realm && (service ?? one.entry.service) === one.entry.service &&
        one.entry.revision > BigInt(after) && one.entry.revision > oldest &&
        (!wanted || one.operationId === wanted)
      ).map(({ entry }) => entry);
      const found = await told(plane, {
        realm,
        after: BigInt(after) as Revision,
        ...(service && { service }),
        ...(limit && { limit }),
        ...(wanted && { operationId: wanted as never }),
      });
      assert.deepEqual(found, limit ? matching.slice(-limit) : matching);
      entries += found.length;
    }),
    { numRuns: 100 },
  );
  assert.ok(entries > 100, `${entries} entries`);
});

Deno.test("history() tells of a service that was deleted and begun again", async () => {
  await using plane = await testPlane();
  await plane.change(register("a", "first"));
  await plane.change(command("put_alias", "a", { alias: "live", route: { kind: "version", version: 1 } }));
  await plane.change(command("delete_service", "a", { force: true }), { ...caller, reason: "enough" });
  await plane.change(register("a", "second"));
  await plane.change(register("b"));
  const ids = ({ before, after }: HistoryEntry) => [before, after].map((one) => one?.instances.map(({ id }) => id));
  const entries = await told(plane, { service: a });
  assert.deepEqual(entries.map((entry) => [entry.note.operation, ...ids(entry)]), [
    ["register", undefined, ["first"]],
    ["put_alias", ["first"], ["first"]],
    ["delete_service", ["first"], undefined],
    ["register", undefined, ["second"]],
  ]);
  assert.equal(entries[2]?.note.reason, "enough");
  assert.deepEqual(entries[3]?.after?.aliases, []);
  const [last] = await told(plane, { service: a, limit: 1 });
  assert.deepEqual(last, entries[3]);
  assert.deepEqual(await told(plane, { service: a, after: entries[3]!.revision }), []);
});

Deno.test("history() finds all commits of one operation, and leaves out what is forgotten", async () => {
  await using plane = await testPlane();
  for (const service of ["a", "b", "c"]) await plane.change(register(service, "i", { hostId: "h" }));
  const forgotten = plane.hub.current().position.revision;
  await plane.operations.executeHost(operation("op"), LOCAL, "h" as never, { kind: "drain" });
  await plane.change(register("a", "later"));
  const mine = await told(plane, { operationId: "op" as never });
  assert.deepEqual(mine.map(({ service, note }) => [service, note.operation]), [
    ["a", "drain"],
    ["b", "drain"],
    ["c", "drain"],
  ]);
  assert.ok(mine.every(({ before, after }) => !before?.instances[0]?.draining && after?.instances[0]?.draining));
  await plane.store.forget(forgotten);
  assert.deepEqual(await told(plane, { operationId: "op" as never }), mine);
  assert.equal((await told(plane)).length, 4);
  await plane.store.forget(mine[0]!.revision);
  assert.deepEqual(await told(plane, { operationId: "op" as never }), mine.slice(1));
});

Deno.test("history() of many services at once reads what it needs of each", async () => {
  await using plane = await testPlane();
  for (let n = 0; n < 70; n++) await plane.change(register(`s${n}`, "i", { hostId: "h" }));
  await plane.operations.executeHost(operation("op"), LOCAL, "h" as never, { kind: "drain" });
  const entries = await told(plane, { operationId: "op" as never, limit: 66 });
  assert.equal(entries.length, 66);
  assert.ok(entries.every(({ before, after }) => before?.instances.length === 1 && after?.instances[0]?.draining));
});

Deno.test("history() of the newest changes looks through no more of the past than it needs", async () => {
  const memory = openMemoryStore();
  let oldest: bigint | undefined;
  const store = overlaid(memory, {
    history: (prefix, after, until) => {
      oldest = oldest !== undefined && oldest < after ? oldest : after;
      return memory.history(prefix, after, until);
    },
  });
  await using plane = await testPlane({ store });
  await plane.change(register("b"));
  for (let port = 1; port <= 2_000; port++) await plane.change(register("a", "i", { port }));
  const newest = plane.hub.current().position.revision;
  oldest = undefined;
  const entries = await told(plane, { limit: 3 });
  assert.deepEqual(entries.map(({ revision }) => newest - revision), [2n, 1n, 0n]);
  assert.ok(newest - oldest! < 500n, `looked back to ${oldest} from ${newest}`);
  // What is rare is looked for further back, and further.
  assert.deepEqual((await told(plane, { limit: 1, service: "b" as ServiceName })).map(({ service }) => service), ["b"]);
  assert.equal((await told(plane, { limit: 1_999 })).length, 1_999);
  assert.equal((await told(plane, { limit: 5_000 })).length, 2_001);
});

Deno.test("history() goes on from what is still there where the past is forgotten meanwhile", async () => {
  const memory = openMemoryStore();
  let forget: Revision | undefined;
  const store = overlaid(memory, {
    // The past is read as if that took long: it is forgotten by then.
    async *history(...how) {
      if (forget !== undefined && how[2]?.upTo !== undefined) await memory.forget(forget);
      forget = undefined;
      yield* memory.history(...how);
    },
    read: async (prefix, at, signal) => {
      if (forget !== undefined && at !== undefined) {
        await memory.forget(forget);
        forget = undefined;
      }
      return await memory.read(prefix, at, signal);
    },
  });
  await using plane = await testPlane({ store });
  for (let n = 0; n < 10; n++) await plane.change(register("a", `i${n}`));
  const all = await told(plane);
  forget = all[2]!.revision;
  assert.deepEqual(await told(plane), all.slice(3));
  forget = all[4]!.revision;
  assert.deepEqual(await told(plane, { limit: 10 }), all.slice(5), "while it is looked for");

  const seen: HistoryEntry[] = [];
  for await (const entry of history(memory, { realm: LOCAL, after: 0n as Revision })) {
    seen.push(entry);
    if (seen.length === 2) await memory.forget(all[8]!.revision);
  }
  assert.deepEqual(seen, [all[5], all[6], all[9]], "while it is told");
});

Deno.test("history() ends with its signal", async () => {
  await using plane = await testPlane();
  for (let n = 0; n < 3; n++) await plane.change(register("a", `i${n}`));
  for (const limit of [undefined, 2]) {
    const gone = new AbortController();
    const entries = told(plane, { signal: gone.signal, ...(limit && { limit }) });
    gone.abort(new Error("nobody waits"));
    await assert.rejects(entries, /nobody waits/);
  }
  const gone = new AbortController();
  const entries = history(plane.store, { realm: LOCAL, after: 0n as Revision, signal: gone.signal });
  await assert.rejects(async () => {
    for await (const _ of entries) gone.abort(new Error("nobody waits"));
  }, /nobody waits/);
});

import assert from "node:assert/strict";
import fc from "fast-check";
import type { Command } from "../domain/command.ts";
import type { Realm, Revision, ServiceName } from "../domain/names.ts";
import { anyCommand, Folded } from "../domain/testing.ts";
import { type Scope, servicesIn } from "../domain/update.ts";
import { openMemoryStore } from "../store/memory.ts";
import { Lost } from "../store/store.ts";
import type { Hub } from "./hub.ts";
import {
  caller,
  done,
  never,
  overlaid,
  register as registration,
  type TestOptions,
  type TestPlane,
  testPlane,
} from "./testing.ts";

const local: Scope = { realm: "local" as Realm };

async function withHub(
  test: (hub: Hub, change: (command: Command) => Promise<void>) => Promise<void>,
  options: TestOptions = {},
) {
  await using plane = await testPlane(options);
  await test(plane.hub, async (command) => void await plane.operations.execute(caller, command));
}

async function withPlane(test: (plane: TestPlane) => Promise<void>) {
  await using plane = await testPlane();
  await test(plane);
}

function register(service: string, port: number): Command {
  return registration(service, "i", { port });
}

const anyScope: fc.Arbitrary<Scope> = fc.record({
  realm: fc.constantFrom("local" as Realm, "testing" as Realm),
  services: fc.option(fc.subarray(["a", "b", "c"] as ServiceName[], { minLength: 1 }), { freq: 2 }),
}).map(({ realm, services }) => services ? { realm, services: new Set(services) } : { realm });

Deno.test("Hub: every watcher folds to the map, however seldom it asks", async () => {
  const watchers = fc.array(fc.record({ scope: anyScope, every: fc.integer({ min: 1, max: 7 }) }), { maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(
      watchers,
      fc.array(anyCommand, { maxLength: 30 }),
      (many, commands) =>
        withHub(async (hub, change) => {
          const follows = many.map(({ scope, every }) => ({
            scope,
            every,
            follow: hub.follow(scope),
            folded: new Folded(),
          }));
          for (const [n, command] of commands.entries()) {
            await change(command);
            for (const { every, follow, folded } of follows) {
              const due = n % every === 0 && folded.position?.revision !== hub.current().position.revision;
              if (due) await foldOwed(follow, folded);
            }
          }
          for (const { scope, follow, folded } of follows) {
            await foldOwed(follow, folded);
            assert.deepEqual(folded.sorted(), servicesIn(hub.current(), scope));
          }
        }),
    ),
    { numRuns: 50 },
  );
});

/** Folds what is owed, if anything is. */
async function foldOwed(follow: ReturnType<Hub["follow"]>, folded: Folded) {
  const nothing = AbortSignal.abort();
  const update = await follow.next(folded.position ? nothing : never).catch(() => undefined);
  if (update) folded.fold(update);
}

Deno.test("Hub: changes of one service melt into its newest state", () =>
  withHub(async (hub, change) => {
    using follow = hub.follow(local);
    await follow.next(never);
    for (let port = 1; port <= 5; port++) await change(register("a", port));
    await change(register("b", 1));
    const update = await follow.next(never);
    assert.deepEqual(update.set.map(({ name, instances }) => [name, instances[0]?.port]), [["a", 5], ["b", 1]]);
    assert.deepEqual(update.position, hub.current().position);
  }));

Deno.test("Hub: watchers who are owed the same share one update", () =>
  withHub(async (hub, change) => {
    const follows = [hub.follow(local), hub.follow(local)];
    const complete = await Promise.all(follows.map((follow) => follow.next(never)));
    assert.equal(complete[0], complete[1]);
    await change(register("a", 1));
    const updates = await Promise.all(follows.map((follow) => follow.next(never)));
    assert.equal(updates[0], updates[1]);
  }));

Deno.test("Hub: an idle watch gets a bookmark", () =>
  withHub(async (hub, change) => {
    using follow = hub.follow({ ...local, services: new Set(["b" as ServiceName]) });
    await follow.next(never);
    await change(register("a", 1));
    const { set, deleted, complete, position } = await follow.next(never);
    assert.deepEqual([set, deleted, complete], [[], [], false]);
    assert.deepEqual(position, hub.current().position);
  }, { bookmarkMs: 10 }));

Deno.test("Hub: whoever is owed nothing can be told how far the map is, and what is owed is counted", () =>
  withHub(async (hub, change) => {
    const narrow = { ...local, services: new Set(["b" as ServiceName]) };
    const [wide, other] = [hub.follow(local), hub.follow(narrow)];
    for (const follow of [wide, other]) await follow.next(never);
    await change(register("a", 1));
    await change(register("c", 1));
    assert.equal(hub.owed, 2);
    hub.bookmark(local.realm);
    const updates = await Promise.all([wide, other].map((follow) => follow.next(never)));
    assert.deepEqual(updates.map(({ set }) => set.map(({ name }) => name)), [["a", "c"], []]);
    for (const { position, complete } of updates) {
      assert.deepEqual([position, complete], [hub.current().position, false]);
    }
    assert.equal(hub.owed, 0);
  }));

Deno.test("Hub: a watch can change what it follows", () =>
  withHub(async (hub, change) => {
    await change(register("a", 1));
    await change(register("b", 1));
    using follow = hub.follow({ ...local, services: new Set(["a" as ServiceName]) });
    await follow.next(never);
    follow.subscribe(local, { ...hub.current().position, revision: 2n as Revision });
    const update = await follow.next(never);
    assert.deepEqual([update.complete, update.set.map(({ name }) => name)], [false, ["b"]]);
  }));

Deno.test("Hub: next() rejects when its signal ends it, and a disposed watch is owed nothing", () =>
  withHub(async (hub) => {
    const follow = hub.follow(local);
    await follow.next(never);
    const controller = new AbortController();
    const waiting = follow.next(controller.signal);
    controller.abort();
    await assert.rejects(waiting);
    assert.equal(hub.watchers, 1);
    follow[Symbol.dispose]();
    assert.equal(hub.watchers, 0);
  }));

Deno.test("Hub: reads the store again when the log is lost, and nobody misses anything", () => {
  // A store whose watch breaks after every second batch.
  const memory = openMemoryStore();
  const store = overlaid(memory, {
    async *watch(prefix, after, signal) {
      let left = 2;
      for await (const batch of memory.watch(prefix, after, signal)) {
        if (left-- === 0) throw new Lost(after);
        yield batch;
      }
    },
  });
  return withHub(async (hub, change) => {
    using follow = hub.follow(local);
    const folded = new Folded();
    folded.fold(await follow.next(never));
    for (let n = 1; n <= 9; n++) await change(register(`s${n}`, n));
    while (folded.position?.revision !== hub.current().position.revision) folded.fold(await follow.next(never));
    assert.equal(folded.services.size, 9);
    assert.ok(hub.live);
  }, { store });
});

Deno.test("Hub: a new epoch begins every watch anew", () =>
  withPlane(async ({ hub, operations, change }) => {
    await change(register("a", 1));
    using follow = hub.follow(local);
    await follow.next(never);
    const position = done(await operations.beginEpoch(caller));
    await change(register("b", 1));
    const update = await follow.next(never);
    assert.deepEqual([update.complete, update.set.map(({ name }) => name)], [true, ["a", "b"]]);
    assert.equal(update.position.epoch, position.epoch);
  }));

Deno.test("Hub: reached() ends with its signal, and is forgotten then", () =>
  withPlane(async ({ hub }) => {
    const far = (hub.current().position.revision + 9n) as Revision;
    const reason = new Error("enough");
    await assert.rejects(hub.reached(far, AbortSignal.abort(reason)), reason);
    const controller = new AbortController();
    const waiting = hub.reached(far, controller.signal);
    controller.abort(reason);
    await assert.rejects(waiting, reason);
  }));

Deno.test("openHub() continues the history of a store", async () => {
  const store = openMemoryStore();
  const maps = [];
  for (const port of [7, 8]) {
    await using plane = await testPlane({ store });
    await plane.change(register("a", port));
    maps.push(plane.hub.current());
  }
  const [first, second] = maps;
  assert.equal(second?.position.epoch, first?.position.epoch);
  assert.deepEqual(servicesIn(second!, local).map(({ modified }) => modified), [second!.position.revision]);
});

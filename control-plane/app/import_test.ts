import assert from "node:assert/strict";
import fc from "fast-check";
import { MAX_INSTANCES, type Service } from "../domain/cluster_map.ts";
import type { LeaseId, Realm } from "../domain/names.ts";
import { anyCommand, Folded } from "../domain/testing.ts";
import { servicesIn } from "../domain/update.ts";
import { openMemoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import { type ImportedService, importRealm } from "./import.ts";
import { caller, command, done, LOCAL, overlaid, refusal, register, type TestPlane, testPlane } from "./testing.ts";

const local = { realm: LOCAL };

/** What an export of a realm brings back. */
function exported(plane: TestPlane, realm = LOCAL): ImportedService[] {
  return servicesIn(plane.hub.current(), { realm }).map(({ name, enabled, spec, instances, aliases }) => ({
    name,
    enabled,
    spec,
    instances: instances.map(({ modified: _, lease: __, ...instance }) => ({ ...instance, held: false })),
    aliases: aliases.map(({ modified: _, ...alias }) => alias),
  }));
}

function into(plane: TestPlane, services: readonly ImportedService[], force = false, realm = LOCAL) {
  return importRealm(plane, { ...caller, reason: "moving house" }, realm, services, force);
}

/** A service of permanent instances. */
function service(name: string, ids: readonly string[], more: object = {}): ImportedService {
  const instances = ids.map((id) => register(name, id).instance).map((spec) => ({
    ...spec,
    enabled: true,
    draining: false,
    status: "unknown" as const,
    held: false,
    ...more,
  }));
  return { name, enabled: true, spec: { protocol: "TCP", balancer: "P2C" }, instances, aliases: [] } as never;
}

const ids = (count: number, prefix = "i") => Array.from({ length: count }, (_, n) => `${prefix}${n}`);

Deno.test("what was exported and is imported elsewhere is the same realm, in a new epoch", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyCommand, { maxLength: 40, size: "max" }), async (commands) => {
      await using from = await testPlane();
      for (const command of commands) await from.operations.execute(caller, command);
      await using to = await testPlane();
      await to.change(register("z", "only-here"));
      const testing = { ...register("a", "in-another-realm"), realm: "testing" as Realm };
      await to.change(testing);
      const before = to.hub.current().position;
      const { position, services, removed } = done(await into(to, exported(from), true));
      assert.deepEqual(exported(to), exported(from));
      assert.deepEqual([services, removed], [exported(from).length, 1]);
      assert.ok(position.epoch > before.epoch && position.revision === to.hub.current().position.revision);
      assert.deepEqual(to.ids("a", "testing" as Realm), ["in-another-realm"], "others are left alone");
      // Again: it ends the same, and nothing has to be forced.
      done(await into(to, exported(from)));
      assert.deepEqual(exported(to), exported(from));
    }),
    { numRuns: 30 },
  );
});

Deno.test("an import that removes more than 30 % of the instances or services must be forced", async () => {
  await using plane = await testPlane();
  done(await into(plane, ids(10, "s").map((name) => service(name, ids(10)))));
  const { position } = plane.hub.current();
  const few = (count: number, instances: number) => ids(count, "s").map((name) => service(name, ids(instances)));
  for (
    const [services, what] of [
      [few(10, 6), "40 of 100 instances and 0 of 10 services"],
      [few(6, 10), "40 of 100 instances and 4 of 10 services"],
      [[], "100 of 100 instances and 10 of 10 services"],
    ] as const
  ) {
    const { code, message } = refusal(await into(plane, services));
    assert.equal(code, "in_use");
    assert.equal(message, `Cannot import realm "local": ${what} would go, more than 30 %; force it if they may`);
  }
  assert.deepEqual(plane.hub.current().position, position, "nothing was written");
  assert.equal(done(await into(plane, few(7, 10))).removed, 3, "30 % may");
  done(await into(plane, few(7, 7)));
  assert.equal(done(await into(plane, few(1, 1), true)).removed, 6);
  assert.deepEqual([plane.ids("s0"), plane.service("s1")], [["i0"], undefined]);
  assert.equal(done(await into(plane, [], true)).removed, 1);
});

Deno.test("an import of a service that is too large is refused before anything is written", async () => {
  await using plane = await testPlane();
  const { position } = plane.hub.current();
  const metadata = { k: "v".repeat(4_000) };
  const statuses = Array.from({ length: 100_000 }, () => 500);
  for (
    const large of [
      service("large", ids(MAX_INSTANCES + 1)),
      service("large", ids(300), { metadata }),
      { ...service("large", ids(100), { metadata }), spec: { protocol: "TCP", policy: { statuses }, balancer: "P2C" } },
    ] as ImportedService[]
  ) {
    const { code, message } = refusal(await into(plane, [service("fine", ["i"]), large]));
    assert.equal(code, "too_large");
    assert.match(message, /^Cannot import service "large": /);
  }
  assert.deepEqual(plane.hub.current().position, position);
  done(await into(plane, [service("full", ids(MAX_INSTANCES))]));
  assert.equal(plane.ids("full").length, MAX_INSTANCES);
});

/** What is in each service at every moment of an import, as a follower sees it. */
async function watched(plane: TestPlane, work: () => Promise<unknown>): Promise<Folded[]> {
  using follow = plane.hub.follow(local);
  const seen: Folded[] = [];
  const folded = new Folded();
  const over = new AbortController();
  const watching = (async () => {
    for (;;) {
      folded.fold(await follow.next(over.signal));
      const copy = new Folded();
      for (const [name, service] of folded.services) copy.services.set(name, service);
      seen.push(copy);
    }
  })().catch(() => {});
  await work();
  over.abort();
  await watching;
  return seen;
}

Deno.test("nobody who has instances before and after an import is without on the way", async () => {
  await using plane = await testPlane();
  done(await into(plane, ["a", "b", "c", "goes"].map((name) => service(name, ids(300, "old")))));
  const route = { kind: "version", version: 1 } as never;
  await plane.change(command("put_alias", "a", { alias: "live", route }));
  const next = ["a", "b", "c", "comes"].map((name) => service(name, ids(250, "new")));
  const seen = await watched(plane, async () => done(await into(plane, next, true)));
  assert.ok(seen.length > 5, `${seen.length} updates`);
  for (const { services } of seen) {
    const counts = ["a", "b", "c"].map((name) => services.get(name)?.instances.length ?? 0);
    assert.ok(counts.every((count) => count >= 250), counts.join());
    // Who still leads callers to the old ones finds them until all new ones are there.
    const gone = !services.has("goes") || counts.some((count) => count < 300);
    if (gone) assert.ok((services.get("comes")?.instances.length ?? 0) === 250);
  }
  assert.deepEqual(plane.service("a")?.aliases, []);
  assert.deepEqual([...seen.at(-1)!.services.keys()].sort(), ["a", "b", "c", "comes"]);
});

Deno.test("an import that the store refuses on the way takes nothing away, and can be repeated", async () => {
  const memory = openMemoryStore();
  let left = Infinity;
  const store = overlaid(memory, {
    // What is large does not fit any more; what deletes fits well.
    commit: async (writes, guards) => {
      const grows = writes.length > 50 && writes.every((write) => "key" in write && write.value !== undefined);
      if (grows && left-- <= 0) return { kind: "refused", reason: "the disk is full" };
      return await memory.commit(writes, guards);
    },
  });
  await using plane = await testPlane({ store });
  done(await into(plane, [service("a", ids(300, "old")), service("goes", ids(10))]));
  const { epoch } = plane.hub.current().position;
  left = 1;
  const refused = refusal(await into(plane, [service("a", ids(300, "new"))], true));
  assert.equal(refused.code, "unknown");
  assert.equal(
    refused.message,
    'Cannot import all of realm "local": the disk is full; what was written stays, import again',
  );
  await plane.hub.reached((await memory.read("")).revision);
  assert.equal(plane.ids("a").filter((id) => id.startsWith("old")).length, 300);
  assert.equal(plane.ids("goes").length, 10);
  assert.equal(plane.hub.current().position.epoch, epoch);
  left = Infinity;
  done(await into(plane, [service("a", ids(300, "new"))], true));
  assert.deepEqual([plane.ids("a").length, plane.service("goes")], [300, undefined]);
});

Deno.test("an import over leased instances gives them leases that nobody has: they stay for their ttl, or come back", async () => {
  const ttl = 9_000;
  await using plane = await testPlane();
  const { lease } = await plane.change(register("a", "back", { ttl }));
  await plane.change(register("a", "gone", { ttl }), caller, lease);
  await plane.change(register("a", "permanent"));
  done(await into(plane, exported(plane)));
  assert.equal(plane.leases.beat(lease!), false, "its holder is asked to register again");
  const own = new Set(plane.service("a")?.instances.map((one) => one.lease));
  assert.equal(own.size, 3);
  assert.ok(!own.has(lease!));
  const pass = async (ms: number, beating?: LeaseId) => {
    for (let left = ms; left > 0; left -= 500) {
      plane.clock.pass(500);
      if (beating) assert.ok(plane.leases.beat(beating));
      await plane.look();
    }
  };
  await pass(ttl - 500);
  assert.equal(plane.ids("a").length, 3, "nobody ends before a whole ttl");
  const { lease: fresh } = await plane.change(register("a", "back", { ttl }));
  await pass(2 * ttl, fresh);
  assert.deepEqual(plane.ids("a"), ["back", "permanent"]);
});

Deno.test("who registers while an import runs is there after it", async () => {
  await using plane = await testPlane();
  done(await into(plane, [service("a", ids(200, "old"))]));
  const [imported] = await Promise.all([
    into(plane, [service("a", ids(200, "new"))], true),
    ...ids(5, "mine").map((id) => plane.change(register("a", id))),
  ]);
  done(imported);
  const is: Service | undefined = plane.service("a");
  assert.deepEqual(is?.instances.map(({ id }) => id).filter((id) => id.startsWith("mine")), ids(5, "mine"));
  assert.equal(is?.instances.length, 205);
});

/** A store on which something is done before the commit of this number, counted while it is armed. */
function between() {
  const memory = openMemoryStore();
  let work: (() => Promise<unknown>) | undefined;
  let left = Infinity;
  const commit: Store["commit"] = async (...how) => {
    if (--left === 0) await work?.();
    return await memory.commit(...how);
  };
  const before = (number: number, what: () => Promise<unknown>) => [left, work] = [number, what];
  return { store: overlaid(memory, { commit }), before };
}

Deno.test("who registers in a service that is to go is not swept, forced or not: it is to be imported again", async () => {
  for (const force of [false, true]) {
    const { store, before } = between();
    await using plane = await testPlane({ store });
    done(await into(plane, [...ids(9, "s").map((name) => service(name, ids(9))), service("goes", ["i0"])]));
    const kept = ids(9, "s").map((name) => service(name, ids(9)));
    // The services that stay take a commit each.
    before(10, () => plane.change(register("goes", "meanwhile")));
    const { code, message } = refusal(await into(plane, kept, force));
    assert.equal(code, "conflict");
    assert.match(message, /instance "goes\/meanwhile" registered meanwhile, .*; what was written stays, import again$/);
    assert.deepEqual(plane.ids("goes"), ["i0", "meanwhile"]);
    assert.equal(done(await into(plane, kept, force)).removed, 1);
    assert.equal(plane.service("goes"), undefined);
  }
});

Deno.test("what merely changes in a service that is to go does not keep it", async () => {
  const { store, before } = between();
  await using plane = await testPlane({ store });
  done(await into(plane, [...ids(9, "s").map((name) => service(name, ids(9))), service("goes", ["i0"])]));
  before(10, () => plane.change(command("drain", "goes")));
  done(await into(plane, ids(9, "s").map((name) => service(name, ids(9)))));
  assert.equal(plane.service("goes"), undefined);
});

Deno.test("a service that somebody deletes or changes while it is imported is not made again in pieces", async () => {
  for (
    const [what, expected, number] of [
      [command("delete_service", "a", { force: true }), /somebody else deleted service "a" meanwhile/, 2],
      [command("delete_service", "a", { force: true }), /somebody else deleted service "a" meanwhile/, 4],
      [command("set_enabled", "a", { enabled: false }), /somebody else changed service "a" meanwhile/, 3],
    ] as const
  ) {
    const { store, before } = between();
    await using plane = await testPlane({ store });
    done(await into(plane, [service("a", ids(100, "old"))]));
    const { epoch } = plane.hub.current().position;
    // Two commits add, two remove.
    before(number, () => plane.change(what));
    const { code, message } = refusal(await into(plane, [service("a", ids(100, "new"))], true));
    assert.equal(code, "conflict");
    assert.match(message, expected);
    assert.equal(plane.service("a")?.specModified === 0n, false, "it is not there without its own fields");
    assert.equal(plane.service("a") === undefined, what.kind === "delete_service");
    assert.equal(plane.hub.current().position.epoch, epoch);
    done(await into(plane, [service("a", ids(100, "new"))], true));
    assert.deepEqual([plane.ids("a").length, plane.service("a")?.spec.protocol], [100, "TCP"]);
  }
});

Deno.test("what becomes of a service once an import is through with it is for others to say", async () => {
  const { store, before } = between();
  await using plane = await testPlane({ store });
  before(3, () => plane.change(command("set_enabled", "a", { enabled: false })));
  done(await into(plane, [service("a", ["i"]), service("b", ids(200))]));
  assert.deepEqual([plane.service("a")?.enabled, plane.ids("b").length], [false, 200]);
});

Deno.test("an import goes on with a service that others write to, also when its first commit loses", async () => {
  const { store, before } = between();
  await using plane = await testPlane({ store });
  before(1, () => plane.change(register("a", "mine")));
  done(await into(plane, [service("a", ids(100))]));
  assert.deepEqual([plane.ids("a").length, plane.service("a")?.spec.protocol], [101, "TCP"]);
});

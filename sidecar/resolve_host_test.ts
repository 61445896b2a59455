import assert from "node:assert/strict";
import { Resolver } from "./resolve_host.ts";

Deno.test("an IP literal is its own address, and is not looked up", () => {
  using rig = startResolver();
  rig.resolver.need("identity", ["127.0.0.1", "::1"]);
  assert.equal(rig.resolver.addressOf("127.0.0.1"), "127.0.0.1");
  assert.equal(rig.resolver.isPending("identity"), false);
  assert.deepEqual(rig.asked, []);
});

Deno.test("a name is pending until its first lookup ends, and its owners hear of it", async () => {
  using rig = startResolver();
  rig.resolver.need("identity", ["a.internal", "b.internal"]);
  rig.resolver.need("teams", ["a.internal"]);
  assert.deepEqual([rig.resolver.isPending("identity"), rig.asked], [true, ["a.internal", "b.internal"]]);
  await rig.answer("a.internal", ["10.0.0.1"]);
  assert.deepEqual(rig.changed, ["identity", "teams"]);
  assert.deepEqual(["identity", "teams"].map((owner) => rig.resolver.isPending(owner)), [true, false]);
  await rig.answer("b.internal", undefined);
  assert.deepEqual(rig.changed, ["identity", "teams", "identity"]);
  assert.equal(rig.resolver.isPending("identity"), false);
  assert.equal(rig.resolver.addressOf("a.internal"), "10.0.0.1");
  assert.equal(rig.resolver.addressOf("b.internal"), undefined);
});

Deno.test("a refresh tells of another address only, keeps the last good one, and the one in use among several", async () => {
  using rig = startResolver();
  rig.resolver.need("identity", ["a.internal"]);
  await rig.answer("a.internal", ["10.0.0.1"]);
  const steps: readonly (readonly [readonly string[] | undefined, string, number])[] = [
    [["10.0.0.2", "10.0.0.1"], "10.0.0.1", 1],
    [undefined, "10.0.0.1", 1],
    [["not an address", "0.0.0.0"], "10.0.0.1", 1],
    [["10.0.0.3"], "10.0.0.3", 2],
  ];
  for (const [addresses, expected, changes] of steps) {
    rig.resolver.refresh();
    await rig.answer("a.internal", addresses);
    assert.deepEqual([rig.resolver.addressOf("a.internal"), rig.changed.length], [expected, changes]);
  }
});

Deno.test("a lookup that takes too long counts as none until it ends", async () => {
  const heard = Promise.withResolvers<void>();
  using rig = startResolver({ patienceMs: 1, heard: heard.resolve });
  rig.resolver.need("identity", ["a.internal"]);
  await heard.promise;
  assert.deepEqual([rig.resolver.isPending("identity"), rig.resolver.addressOf("a.internal")], [false, undefined]);
  await rig.answer("a.internal", ["10.0.0.1"]);
  assert.equal(rig.resolver.addressOf("a.internal"), "10.0.0.1");
});

Deno.test("a name that nobody needs any more is forgotten", async () => {
  using rig = startResolver();
  rig.resolver.need("identity", ["a.internal"]);
  await rig.answer("a.internal", ["10.0.0.1"]);
  rig.resolver.need("identity", []);
  assert.equal(rig.resolver.addressOf("a.internal"), undefined);
  rig.resolver.refresh();
  assert.equal(rig.asked.length, 1);
});

function startResolver({ patienceMs = 60_000, heard = () => {} } = {}) {
  const asked: string[] = [];
  const changed: string[] = [];
  const waiting = new Map<string, PromiseWithResolvers<readonly string[]>>();
  const resolver = new Resolver({
    lookup: (name) => {
      asked.push(name);
      const answer = Promise.withResolvers<readonly string[]>();
      waiting.set(name, answer);
      return answer.promise;
    },
    onChange: (owner) => {
      changed.push(owner);
      heard();
    },
    patienceMs,
    refreshMs: 60_000,
  });
  const answer = async (name: string, addresses: readonly string[] | undefined) => {
    const lookup = waiting.get(name);
    addresses ? lookup?.resolve(addresses) : lookup?.reject(new Error("no such name"));
    await new Promise((done) => setTimeout(done));
  };
  return { resolver, asked, changed, answer, [Symbol.dispose]: () => resolver[Symbol.dispose]() };
}

import assert from "node:assert/strict";
import { bucketOf } from "../sdk-ts/hash32.ts";
import { Caller } from "./testing/caller.ts";
import { instance, service } from "./testing/maps.ts";
import { startBackend, startRig } from "./testing/rig.ts";

interface Case {
  readonly id: string;
  readonly input: {
    readonly service: string;
    readonly targets: readonly (readonly [version: string, share: number])[];
    readonly keys: readonly string[];
  };
  readonly expect: readonly string[];
}

/** Keys, and the version that each one's hash gives it. */
const CASES: readonly Case[] = (await Deno.readTextFile(new URL("config/testdata/split.ndjson", import.meta.url)))
  .trim().split("\n").map((line) => JSON.parse(line));

Deno.test("HAProxy gives each key of a split the version that its hash gives it, by flow and by sticky header", async () => {
  const versions = ["v1", "v2", "v10"];
  await using stack = new AsyncDisposableStack();
  const instances = versions.map((version) => {
    const { port } = stack.use(startBackend(version));
    return instance(`i${version}`, { port, version: Number(version.slice(1)) });
  });
  await using rig = await startRig();
  await rig.map.change(...CASES.map(({ input: { service: name, targets } }, at) => {
    const split = Object.fromEntries(targets.map(([version, share]) => [version.slice(1), share]));
    return service(name, { instances, aliases: { live: { split, ...(at % 2 === 1 && { stickyHeader: "x-user" }) } } });
  }));
  using caller = await Caller.connect(rig.port);
  let keys = 0;
  for (const [at, { id, input, expect }] of CASES.entries()) {
    for (const [number, key] of input.keys.entries()) {
      // The same key as a flow, and as a user whose flow is another one.
      const sent = at % 2 === 1 ? [`x-user: ${bytes(key)}`, "Portolan-Flow: other"] : [`Portolan-Flow: ${bytes(key)}`];
      const { body } = await caller.get("/", `Portolan-Service: ${input.service}`, ...sent);
      assert.equal(body, expect[number], `${id}: ${key}`);
      keys++;
    }
  }
  assert.ok(keys >= 100);
});

Deno.test("a split's border is where it should be, to the basis point, and of each alias its own", async () => {
  await using v1 = startBackend("1");
  await using v2 = startBackend("2");
  const instances = [instance("i1", { port: v1.port }), instance("i2", { port: v2.port, version: 2 })];
  const split = { 1: 9000, 2: 1000 };
  await using rig = await startRig();
  await rig.map.change(service("identity", { instances, aliases: { live: { split }, canary: { split } } }));
  using caller = await Caller.connect(rig.port);
  // Flows whose buckets, by their hashes, are these.
  const flows: readonly (readonly [name: string, flow: number, bucket: number])[] = [
    ["identity", 151, 0],
    ["identity", 3310, 8999],
    ["identity", 3591, 9000],
    ["live.identity", 3591, 9000],
    ["identity", 5615, 9999],
    ["canary.identity", 5912, 8999],
    ["canary.identity", 796, 9000],
  ];
  for (const [name, flow, bucket] of flows) {
    const { body } = await caller.get("/", `Portolan-Service: ${name}`, `Portolan-Flow: ${flow}`);
    assert.equal(body, bucket < 9000 ? "1" : "2", `${name}:${flow}`);
  }
});

Deno.test("a sticky route goes by the flow where its header is missing, and a plain one never by the header", async () => {
  await using v1 = startBackend("1");
  await using v2 = startBackend("2");
  const instances = [instance("i1", { port: v1.port }), instance("i2", { port: v2.port, version: 2 })];
  const split = { 1: 5000, 2: 5000 };
  await using rig = await startRig();
  await rig.map.change(
    service("plain", { instances, aliases: { live: { split } } }),
    service("sticky", { instances, aliases: { live: { split, stickyHeader: "x-user" }, other: { split } } }),
  );
  using caller = await Caller.connect(rig.port);
  const versions = async (name: string, header: string) => {
    let seen = "";
    for (let flow = 0; flow < 40; flow++) {
      seen += (await caller.get("/", `Portolan-Service: ${name}`, `Portolan-Flow: ${flow}`, header)).body;
    }
    return new Set(seen).size;
  };
  assert.equal(await versions("sticky", "x-user: ann"), 1);
  assert.equal(await versions("sticky", "x-user:"), 1, "a header that is there and empty is a value, too");
  assert.equal(await versions("sticky", "x-users: ann"), 2);
  assert.equal(await versions("other.sticky", "x-user: ann"), 2);
  assert.equal(await versions("plain", "x-user: ann"), 2);
});

Deno.test("10 000 keys get the version of their bucket, and 1 % and 10 % of them the smaller share", async () => {
  await using v1 = startBackend("1");
  await using v2 = startBackend("2");
  const instances = [instance("i1", { port: v1.port }), instance("i2", { port: v2.port, version: 2 })];
  await using rig = await startRig();
  const shares = { hundredth: 100, tenth: 1_000 };
  await rig.map.change(
    ...Object.entries(shares).map(([name, share]) =>
      service(name, { instances, aliases: { live: { split: { 1: 10_000 - share, 2: share } } } })
    ),
  );
  using caller = await Caller.connect(rig.port);
  for (const [name, share] of Object.entries(shares)) {
    let smaller = 0;
    for (let at = 0; at < 10_000; at++) {
      // What flows look like, and now and then something else.
      const key = at % 10 === 0 ? `${name} é漢 ${at}, "${at % 7}"` : crypto.randomUUID();
      const { body } = await caller.get("/", `Portolan-Service: ${name}`, `Portolan-Flow: ${bytes(key)}`);
      assert.equal(body, bucketOf(name, key) < 10_000 - share ? "1" : "2", key);
      if (body === "2") smaller++;
    }
    assertBinomial(smaller, 10_000, share / 10_000);
  }
  let minted = 0;
  for (let at = 0; at < 2_000; at++) {
    if ((await caller.get("/", "Portolan-Service: tenth")).body === "2") minted++;
  }
  assertBinomial(minted, 2_000, 0.1);
});

Deno.test("a sticky user stays with a version while the shares stand, whatever else changes", async () => {
  await using v1 = startBackend("1");
  await using v2 = startBackend("2");
  const i1 = instance("i1", { port: v1.port });
  const i2 = instance("i2", { port: v2.port, version: 2 });
  await using rig = await startRig();
  const live = { split: { 1: 7_000, 2: 3_000 }, stickyHeader: "x-user" };
  const identity = (...more: readonly ReturnType<typeof instance>[]) =>
    service("identity", { instances: [i1, i2, ...more], aliases: { live } });
  await rig.map.change(identity());
  const versions = async () => {
    using caller = await Caller.connect(rig.port);
    let seen = "";
    for (let user = 0; user < 300; user++) {
      seen += (await caller.get("/", "Portolan-Service: identity", `x-user: user-${user}`)).body;
    }
    return seen;
  };
  const first = await versions();
  assert.equal(new Set(first).size, 2);
  await rig.map.change(identity(instance("i3", { port: v2.port, version: 2 })));
  assert.equal(await versions(), first, "an instance came");
  await rig.map.change(service("teams", { instances: [i1] }));
  assert.equal(rig.reconciler.reloads.count, 1);
  assert.equal(await versions(), first, "HAProxy was reloaded");
});

/** Within five standard deviations: by chance alone it is not once in a million runs. */
function assertBinomial(count: number, of: number, share: number): void {
  const distance = Math.abs(count - of * share) / Math.sqrt(of * share * (1 - share));
  assert.ok(distance < 5, `${count} of ${of} is no share of ${share}`);
}

/** One character for each byte of the text on the wire. */
function bytes(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

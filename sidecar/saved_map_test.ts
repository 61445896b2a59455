import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { Instance_Status, PositionSchema, ServiceSchema } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { Follower_Kind } from "../proto/gen/portolan/v1/discovery_pb.ts";
import { type Fields, type Log, SILENT } from "../proto/log.ts";
import { follow, type SavedSnapshot, type Snapshot } from "../sdk-ts/follow.ts";
import { routed } from "../sdk-ts/old_epoch.ts";
import { TestClock } from "../sdk-ts/testing/clock.ts";
import { SavedMap, type SavedMapOptions } from "./saved_map.ts";
import { services, snapshot, withStatus } from "./testing/saved_maps.ts";

const ALL = { realm: "local", services: [] };

/** A data folder that goes with its test. */
async function dataFolder() {
  const path = await Deno.makeTempDir({ prefix: "saved-map-" });
  return { path, file: join(path, "map.bin"), [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

function savedMap(folder: string, more: Partial<SavedMapOptions> = {}, clock = new TestClock()): SavedMap {
  return new SavedMap({ folder, scope: ALL, heardAt: () => 5, log: SILENT, ...more }, clock);
}

async function save(folder: string, snapshot: Snapshot, scope: SavedMapOptions["scope"] = ALL): Promise<void> {
  await using saved = savedMap(folder, { scope });
  saved.save(snapshot);
}

/** What the next process finds. */
async function loaded(folder: string): Promise<SavedSnapshot & { readonly heardAt: number }> {
  const found = await savedMap(folder).load();
  assert.ok(found.kind === "map", found.kind === "damaged" ? found.reason : found.kind);
  return { ...found.saved, heardAt: found.heardAt };
}

const revision = async (folder: string) => (await loaded(folder)).position.revision;

Deno.test("load() answers what was saved, and none where nothing was", async () => {
  await using folder = await dataFolder();
  assert.deepEqual(await savedMap(folder.path).load(), { kind: "none" });
  await save(folder.path, snapshot(3n, services("a", "b")));
  const { position, heardAt, ...rest } = await loaded(folder.path);
  assert.deepEqual([position.epoch, position.revision, heardAt], [7n, 3n, 5]);
  assert.deepEqual(rest, { services: services("a", "b"), kept: new Map() });
  assert.equal((await Deno.stat(folder.file)).mode! & 0o777, 0o600);
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["map.bin"]);
});

const text = fc.string({ unit: "grapheme", maxLength: 8 });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const u32 = fc.nat(0xffff_ffff);
const status = fc.constantFrom(Instance_Status.PASSING, Instance_Status.FAILING, Instance_Status.UNKNOWN);
const someInstance = fc.record({
  ...{ id: text, host: text, zone: text, hostId: text, modified: u64, port: u32, version: u32, weight: u32, status },
  ...{ enabled: fc.boolean(), draining: fc.boolean(), held: fc.boolean() },
  metadata: fc.dictionary(text.filter((key) => key !== "__proto__"), text, { maxKeys: 3, noNullPrototype: true }),
  ttl: fc.option(fc.record({ seconds: fc.bigInt({ min: 0n, max: 2n ** 40n }) }), { nil: undefined }),
}, { requiredKeys: ["id"] });
const route = fc.record({ version: u32, split: fc.array(fc.record({ version: u32, share: u32 })), stickyHeader: text });
const someService = fc.record({
  ...{ name: text, modified: u64, specModified: u64, enabled: fc.boolean() },
  instances: fc.array(someInstance, { maxLength: 4 }),
  aliases: fc.array(fc.record({ name: text, modified: u64, route }), { maxLength: 2 }),
  spec: fc.record({ localPort: u32, limits: fc.record({ maxQueue: u32 }) }, { requiredKeys: [] }),
}, { requiredKeys: ["name"] }).map((init) => create(ServiceSchema, init));
const someServices = fc.uniqueArray(someService, { selector: ({ name }) => name, maxLength: 5 })
  .map((all) => new Map(all.map((one) => [one.name, one])));
const someSnapshot = fc.record({
  position: fc.record({ epoch: u64, revision: u64 }).map((init) => create(PositionSchema, init)),
  services: someServices,
  kept: someServices,
});

Deno.test("load() answers any map that was saved, as it was", async () => {
  await using folder = await dataFolder();
  const round = async ({ position, services: map, kept }: Required<SavedSnapshot>) => {
    const all = routed(map, { services: kept, until: 0 });
    await save(folder.path, {
      position,
      services: all,
      changed: new Set(),
      ...(kept.size > 0 && { apart: { map, kept } }),
    });
    const found = await loaded(folder.path);
    assert.deepEqual(found.position, position);
    assert.deepEqual([...found.services], [...map]);
    assert.deepEqual([...found.kept ?? []], [...kept]);
  };
  await fc.assert(fc.asyncProperty(someSnapshot, round), { numRuns: 100 });
});

Deno.test("load() does not use a damaged file: it says so once and sets it aside", async () => {
  await using folder = await dataFolder();
  const lines: unknown[] = [];
  const log: Log = { ...SILENT, error: (message, fields) => lines.push(message, fields) };
  await save(folder.path, snapshot(3n, services("a")));
  const file = await Deno.readFile(folder.file);
  const cut = file.subarray(0, -7);
  await Deno.writeFile(folder.file, cut);
  const reason = "its checksum is wrong: it was cut off or changed";
  assert.deepEqual(await savedMap(folder.path, { log }).load(), { kind: "damaged", reason });
  assert.deepEqual(lines, ["The saved map is not used", { reason, aside: "map.bin.damaged" }]);
  assert.deepEqual(await Deno.readFile(`${folder.file}.damaged`), cut);
  assert.deepEqual(await savedMap(folder.path, { log }).load(), { kind: "none" });

  await save(folder.path, snapshot(4n, services("a")));
  assert.equal(await revision(folder.path), 4n);
  await Deno.remove(folder.file);
  await Deno.mkdir(folder.file);
  assert.match(JSON.stringify(await savedMap(folder.path).load()), /"damaged","reason":"it cannot be read: /);
});

Deno.test("load() answers a map of what is asked for, and of nothing else", async () => {
  await using folder = await dataFolder();
  const is = async (scope: SavedMapOptions["scope"], asked: SavedMapOptions["scope"]) => {
    await save(folder.path, snapshot(3n, services("a", "b")), scope);
    const found = await savedMap(folder.path, { scope: asked }).load();
    return found.kind === "map" ? [...found.saved.services.keys()] : found.kind === "damaged" && found.reason;
  };
  const local = (...services: readonly string[]) => ({ realm: "local", services });
  assert.deepEqual(await is(local("a", "b"), local("b", "a")), ["a", "b"]);
  assert.deepEqual(await is(local("a", "b"), local("a")), ["a"], "it is of more");
  assert.deepEqual(await is(local(), local("b", "c")), ["b"], "c did not exist");
  assert.equal(await is(local("a", "b"), local("a", "c")), "it has no more than a, b, asked for is a, c");
  assert.equal(await is(local("a", "b"), local()), "it has no more than a, b, asked for is all of the realm");
  assert.equal(await is({ realm: "testing", services: [] }, ALL), 'it is of realm "testing", asked for is "local"');
});

Deno.test("save() writes at once, then once a second at most, the newest, and dispose the last one", async () => {
  await using folder = await dataFolder();
  const clock = new TestClock();
  const saved = savedMap(folder.path, {}, clock);
  saved.save(snapshot(1n, services("a")));
  (await clock.nap(0)).end();
  await clock.nap(10_000);
  assert.equal(await revision(folder.path), 1n);
  saved.save(snapshot(2n, services("a", "b")));
  saved.save(snapshot(3n, services("a", "b", "c")));
  const soon = await clock.nap(1_000);
  assert.equal(await revision(folder.path), 1n);
  soon.end();
  await clock.nap(10_000);
  assert.equal(await revision(folder.path), 3n);
  assert.deepEqual(clock.begun, [0, 10_000, 1_000, 10_000]);

  saved.save(snapshot(4n, services()));
  await saved[Symbol.asyncDispose]();
  assert.equal(await revision(folder.path), 4n);
  saved.save(snapshot(5n, services("a")));
  await saved.flush();
  assert.equal(await revision(folder.path), 4n, "it is over");
});

Deno.test("save() leaves what only a bookmark moved for 10 s, and writes nothing where nothing moved", async () => {
  await using folder = await dataFolder();
  const clock = new TestClock();
  let heardAt = 100;
  await using saved = savedMap(folder.path, { heardAt: () => heardAt }, clock);
  const map = services("a");
  saved.save(snapshot(1n, map));
  (await clock.nap(0)).end();
  let calm = await clock.nap(10_000);
  heardAt = 200;
  saved.save(snapshot(2n, map));
  assert.equal(await revision(folder.path), 1n);
  calm.end();
  calm = await clock.nap(10_000);
  assert.deepEqual([await revision(folder.path), (await loaded(folder.path)).heardAt], [2n, 200]);

  // Nobody gives it a snapshot where not even the position moves.
  heardAt = 300;
  calm.end();
  calm = await clock.nap(10_000);
  assert.equal((await loaded(folder.path)).heardAt, 300);
  await Deno.remove(folder.file);
  calm.end();
  await clock.nap(10_000);
  assert.deepEqual([...Deno.readDirSync(folder.path)], []);
  assert.deepEqual(clock.begun, [0, ...Array(4).fill(10_000)]);
});

Deno.test("save() of what was loaded writes nothing, and does not make it younger", async () => {
  await using folder = await dataFolder();
  await save(folder.path, snapshot(3n, services("a")));
  const clock = new TestClock();
  await using saved = savedMap(folder.path, { heardAt: () => undefined }, clock);
  const found = await saved.load();
  assert.ok(found.kind === "map");
  const before = await Deno.stat(folder.file);
  saved.save({ ...found.saved, changed: new Set(["a"]) });
  (await clock.nap(0)).end();
  await clock.nap(10_000);
  assert.deepEqual(await Deno.stat(folder.file), before);
  // Kept instances go though nobody answers.
  saved.save(snapshot(3n, services("a/i2")));
  await saved.flush();
  assert.equal((await loaded(folder.path)).heardAt, 5);
});

Deno.test("a folder that cannot be written is logged once until it can be, and tried every 10 s", async () => {
  await using folder = await dataFolder();
  const lines: string[] = [];
  const line = (message: string, _?: Fields) => lines.push(message);
  const clock = new TestClock();
  const path = join(folder.path, "gone");
  await using saved = savedMap(path, { log: { info: line, warn: line, error: line } }, clock);
  saved.save(snapshot(1n, services("a")));
  (await clock.nap(0)).end();
  const first = await clock.nap(10_000);
  saved.save(snapshot(2n, services("b")));
  first.end();
  const second = await clock.nap(10_000);
  assert.deepEqual(lines, ["Cannot save the map: trying again"]);
  await Deno.mkdir(path);
  second.end();
  await clock.nap(10_000);
  assert.deepEqual(lines.slice(1), ["The map is saved again"]);
  assert.equal(await revision(path), 2n);
  // What is left of a write that failed would take the place that others need.
  await Deno.mkdir(join(folder.path, "map.bin"));
  await using blocked = savedMap(folder.path, {}, clock);
  blocked.save(snapshot(1n, services("a")));
  await blocked.flush();
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name).sort(), ["gone", "map.bin"]);
});

Deno.test("what is kept of an epoch before is routed by the next process, apart from the map", async () => {
  await using folder = await dataFolder();
  const map = services("a/i2");
  const kept = withStatus(services("a/i1", "b"), Instance_Status.UNKNOWN);
  const all = routed(map, { services: kept, until: 0 });
  await save(folder.path, { ...snapshot(3n, all), apart: { map, kept } });
  const found = await savedMap(folder.path).load();
  assert.ok(found.kind === "map");
  assert.deepEqual([found.saved.services, found.saved.kept], [map, kept]);
  await using next = follow({
    controlPlanes: ["127.0.0.1:9"],
    scope: ALL,
    follower: { id: "here", kind: Follower_Kind.SIDECAR, program: "test/1", zone: "" },
    saved: found.saved,
  }, new TestClock());
  const first = await next[Symbol.asyncIterator]().next();
  assert.deepEqual(first.value.services, all);
});

Deno.test("a sidecar that is killed while it saves leaves the old map or the new one", async () => {
  await using folder = await dataFolder();
  const run = async (killAt: number) => {
    const program = fileURLToPath(new URL("testing/killed_saver.ts", import.meta.url));
    const args = ["run", "--quiet", "--cached-only", "--frozen", "-P=sidecar", program, folder.path, `${killAt}`];
    const { signal, code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT }).output();
    assert.equal(killAt === 0 ? code : signal, killAt === 0 ? 0 : "SIGKILL", new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trim().split("\n");
  };
  await save(folder.path, snapshot(1n, services("old")));
  const steps = await run(0);
  assert.deepEqual(steps.filter((step, at) => step !== steps[at - 1]), [
    ...["open file", "write", "sync data", "rename", "open folder", "sync"],
  ]);
  assert.ok(steps.indexOf("sync data") > 3, "it cannot end in the middle of writing");
  for (let killAt = 1; killAt <= steps.length; killAt++) {
    await save(folder.path, snapshot(1n, services("old")));
    await run(killAt);
    const found = await loaded(folder.path);
    const expected = killAt <= steps.indexOf("rename") + 1 ? ["old"] : ["new", "new-too"];
    assert.deepEqual([...found.services.keys()], expected, `killed before ${steps[killAt - 1]}`);
  }
});

const ROOT = fileURLToPath(new URL("../", import.meta.url));

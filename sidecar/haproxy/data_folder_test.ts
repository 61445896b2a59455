import assert from "node:assert/strict";
import { assign } from "../routing/assign.ts";
import { DataFolder, type Installed, Refused } from "./data_folder.ts";
import { TIMEOUTS } from "../config/print_base.ts";
import { EMPTY_PLAN } from "../routing/plan.ts";
import { type Files, print } from "../config/print.ts";
import { seal } from "../config/seal.ts";
import { instance, service, wantedOf } from "../testing/maps.ts";

const SETTINGS = { realm: "local", egress: { host: "127.0.0.1", port: 7410 }, timeouts: TIMEOUTS };
const FILES = print(EMPTY_PLAN, SETTINGS, { generation: 1 });
const OTHER = print(
  assign(wantedOf(service("identity", { instances: [instance("i1")] })), EMPTY_PLAN),
  SETTINGS,
  { generation: 1 },
);

Deno.test("a data folder is one sidecar's at a time, and another's when that one has gone", async () => {
  await inTempDir(async (path) => {
    const first = await DataFolder.open(path);
    await assert.rejects(DataFolder.open(path), /^Error: Cannot use data folder ".*": another sidecar is using it$/);
    first[Symbol.dispose]();
    (await DataFolder.open(path))[Symbol.dispose]();
  });
});

Deno.test("a data folder whose sockets would have too long a path is refused", async () => {
  await inTempDir(async (path) => {
    const long = `${path}/${"long".repeat(20)}`;
    await assert.rejects(DataFolder.open(long), /^Error: Cannot use data folder ".*": sockets in it would have paths/);
    await assert.rejects(Deno.stat(long), Deno.errors.NotFound);
  });
});

Deno.test("install() writes what differs, and check() touches nothing that is in place", async () => {
  await inTempDir(async (path) => {
    using data = await DataFolder.open(path);
    data.install(FILES);
    const times = async () => {
      const names = ["haproxy.cfg", "routes.map"];
      return (await Promise.all(names.map((name) => Deno.stat(`${path}/${name}`)))).map(({ ino }) => ino);
    };
    const before = await times();
    data.install(print(EMPTY_PLAN, SETTINGS, { generation: 1 }));
    assert.deepEqual(await times(), before);
    await data.check(OTHER.config);
    const nonsense = { text: "nonsense\n" } as typeof OTHER.config;
    await assert.rejects(data.check(nonsense), (error) => error instanceof Refused && /nonsense/.test(error.message));
    assert.deepEqual(await times(), before);
    data.install(OTHER);
    assert.deepEqual(data.readInstalled(), textsOf(OTHER));
    assert.equal(((await Deno.stat(`${path}/haproxy.cfg`)).mode ?? 0) & 0o777, 0o600);
  });
});

Deno.test("a change of both files that was cut short is brought to its end, or back", async () => {
  const [config, routes] = [OTHER.config, OTHER.routes].map(({ text }) => seal({ body: text, position: "none" }));
  const cases = [
    { "haproxy.cfg.new": "half", left: FILES },
    { "haproxy.cfg.new": config, "routes.map.new": "half", left: FILES },
    { "haproxy.cfg.new": config, "routes.map.next": routes, left: FILES },
    { "haproxy.cfg": config, "routes.map.next": routes, left: OTHER },
    { "haproxy.cfg": config, "routes.map": routes, left: OTHER },
  ];
  for (const { left, ...files } of cases) {
    await inTempDir(async (path) => {
      {
        using data = await DataFolder.open(path);
        data.install(FILES);
      }
      for (const [name, text] of Object.entries(files)) Deno.writeTextFileSync(`${path}/${name}`, text ?? "");
      using data = await DataFolder.open(path);
      assert.deepEqual(data.readInstalled(), textsOf(left));
      assert.deepEqual(data.installed, textsOf(left));
      assert.deepEqual(filesIn(path), ["errors", "haproxy.cfg", "lock", "routes.map"]);
    });
  }
});

Deno.test("files that are not whole, or not there, are no files", async () => {
  await inTempDir(async (path) => {
    using data = await DataFolder.open(path);
    await data.check(OTHER.config);
    assert.deepEqual(filesIn(path), ["errors", "lock"]);
    assert.equal(data.readInstalled(), undefined);
    data.install(OTHER);
    const whole = Deno.readTextFileSync(`${path}/haproxy.cfg`);
    Deno.writeTextFileSync(`${path}/haproxy.cfg`, whole.replace("timeout", "timeouts"));
    assert.equal(data.readInstalled(), undefined);
  });
});

Deno.test("install() answers with the way back, and the later position is what both files say", async () => {
  await inTempDir(async (path) => {
    using data = await DataFolder.open(path);
    data.install({ ...FILES, position: "1.9" });
    const undo = data.install({ ...FILES, routes: OTHER.routes, position: "1.10" });
    assert.equal(data.readInstalled()?.position, "1.10");
    undo();
    assert.deepEqual(data.readInstalled(), { ...textsOf(FILES), position: "1.9" });
  });
});

function filesIn(path: string): readonly string[] {
  return [...Deno.readDirSync(path)].map(({ name }) => name).sort();
}

async function inTempDir(use: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir();
  try {
    await use(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

function textsOf({ config, routes, position }: Files): Installed {
  return { config: config.text, routes: routes.text, position };
}

Deno.test("what could not be brought to disk is owed until it is there", async () => {
  await inTempDir(async (path) => {
    using data = await DataFolder.open(path);
    data.install(FILES);
    Deno.renameSync(`${path}/routes.map`, `${path}/elsewhere`);
    for (let again = 0; again < 2; again++) await assert.rejects(data.sync(), Deno.errors.NotFound);
    Deno.renameSync(`${path}/elsewhere`, `${path}/routes.map`);
    await data.sync();
    Deno.removeSync(`${path}/routes.map`);
    // All of it is there already.
    await data.sync();
  });
});

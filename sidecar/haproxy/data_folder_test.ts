import assert from "node:assert/strict";
import { assign } from "../routing/assign.ts";
import { DataFolder, Refused } from "./data_folder.ts";
import { TIMEOUTS } from "../config/print_egress.ts";
import { EMPTY_PLAN } from "../routing/plan.ts";
import { print } from "../config/print.ts";
import { instance, service, wantedOf } from "../testing/maps.ts";

const SETTINGS = { realm: "local", egress: { host: "127.0.0.1", port: 7410 }, timeouts: TIMEOUTS };
const FILES = print(EMPTY_PLAN, SETTINGS, 1);
const OTHER = print(
  assign(wantedOf(service("identity", { instances: [instance("i1")] })), EMPTY_PLAN),
  SETTINGS,
  1,
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
    data.install(print(EMPTY_PLAN, SETTINGS, 1));
    assert.deepEqual(await times(), before);
    await data.check(OTHER.config);
    const nonsense = { text: "nonsense\n" } as typeof OTHER.config;
    await assert.rejects(data.check(nonsense), (error) => error instanceof Refused && /nonsense/.test(error.message));
    assert.deepEqual(await times(), before);
    data.install(OTHER);
    assert.equal(await Deno.readTextFile(`${path}/haproxy.cfg`), OTHER.config.text);
    assert.equal(await Deno.readTextFile(`${path}/routes.map`), OTHER.routes.text);
    assert.equal(((await Deno.stat(`${path}/haproxy.cfg`)).mode ?? 0) & 0o777, 0o600);
  });
});

async function inTempDir(use: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir();
  try {
    await use(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

import assert from "node:assert/strict";
import { NO_REVISION } from "../domain/names.ts";
import { openSqliteStore } from "./sqlite.ts";
import { CannotOpenStore } from "./sqlite_file.ts";
import { contents, put, revisionOf, take, testStore } from "./suite.ts";
import { edit, refusalElsewhere, temporaryFolder } from "./testing/file.ts";

testStore("SQLite store", async (limits) => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/map.db`;
  let store = openSqliteStore(path, limits);
  return {
    store,
    reopen: async () => {
      await store[Symbol.asyncDispose]();
      return store = openSqliteStore(path, limits);
    },
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await Deno.remove(folder, { recursive: true });
    },
  };
});

Deno.test("openSqliteStore() leaves one file behind when it is closed", async () => {
  await using folder = await temporaryFolder();
  await using store = openSqliteStore(folder.file);
  await store.commit([put("a", "1")]);
  await store[Symbol.asyncDispose]();
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name), ["map.db"]);
});

Deno.test("openSqliteStore() keeps revisions beyond what a number holds", async () => {
  await using folder = await temporaryFolder();
  await openSqliteStore(folder.file)[Symbol.asyncDispose]();
  edit(folder.file, `UPDATE remembered SET revision = ${2n ** 60n + 1n}`);
  await using store = openSqliteStore(folder.file);
  const revision = revisionOf(await store.commit([put("a", "1")]));
  assert.equal(revision, 2n ** 60n + 2n);
  assert.deepEqual(await contents(store), [["a", "1", revision]]);
  assert.equal((await store.commit([put("a", "2")], [{ key: "a", revision }])).kind, "committed");
  assert.deepEqual((await store.read("", revision)).entries.map(({ value }) => value), [put("a", "1").value]);
  assert.deepEqual((await Array.fromAsync(store.history("", revision))).map((batch) => batch.revision), [
    revision + 1n,
  ]);
  await assert.rejects(take(store, "", NO_REVISION, 1), /no longer kept/);
});

Deno.test("openSqliteStore() refuses a file that another process has open", async () => {
  await using folder = await temporaryFolder();
  await using store = openSqliteStore(folder.file);
  await store.commit([put("a", "1")]);
  assert.equal(
    await refusalElsewhere(folder.file),
    `Cannot open the store "${folder.file}": another process has locked it: stop that one, or name another file`,
  );
  assert.equal((await store.commit([put("a", "2")])).kind, "committed");
});

Deno.test("openSqliteStore() says what a file is that it cannot use, and leaves it as it was", async () => {
  await using folder = await temporaryFolder();
  await Deno.writeTextFile(folder.file, "a page of prose\n".repeat(500));
  assert.throws(() => openSqliteStore(folder.file), cannotOpen(folder.file, "it is no SQLite file: name another file"));
  assert.equal((await Deno.readTextFile(folder.file)).length, 16 * 500);

  await Deno.remove(folder.file);
  edit(folder.file, "CREATE TABLE bookmarks (url TEXT)");
  assert.throws(() => openSqliteStore(folder.file), cannotOpen(folder.file, /^it is a database of another program: /));

  await Deno.remove(folder.file);
  await openSqliteStore(folder.file)[Symbol.asyncDispose]();
  for (
    const [version, todo] of [
      [1, "export the map with the program that wrote it, and import that into a new file"],
      [3, "use the program that wrote it, or a newer one"],
    ] as const
  ) {
    edit(folder.file, `PRAGMA user_version = ${version}`);
    const problem = `it has the form ${version}, this program knows 2: ${todo}`;
    assert.throws(() => openSqliteStore(folder.file), cannotOpen(folder.file, problem));
  }

  assert.throws(() => openSqliteStore(folder.path), cannotOpen(folder.path, "it is a folder: name another file"));
  const nowhere = `${folder.path}/none/map.db`;
  assert.throws(() => openSqliteStore(nowhere), cannotOpen(nowhere, /^it cannot be created: make its folder/));
});

Deno.test("openSqliteStore() writes ahead into a log", async () => {
  await using folder = await temporaryFolder();
  await using store = openSqliteStore(folder.file);
  await store.commit([put("a", "1")]);
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name).sort(), ["map.db", "map.db-wal"]);
});

Deno.test("commit() that fails half-way leaves nothing, and harms none after it", async () => {
  await using folder = await temporaryFolder();
  await using store = openSqliteStore(folder.file);
  const broken = await store.commit([put("a", "1"), { key: "b", value: "no bytes" as never }]);
  assert.match(
    broken.kind === "refused" ? broken.reason : "",
    /^Cannot write to the store ".+map\.db": cannot store TEXT/,
  );
  const revision = revisionOf(await store.commit([put("c", "1")]));
  assert.deepEqual(await contents(store), [["c", "1", revision]]);
});

Deno.test("commit() of much at once is done in several groups, in order", async () => {
  await using folder = await temporaryFolder();
  await using store = openSqliteStore(folder.file);
  const commits = Array.from({ length: 1_500 }, (_, at) => store.commit([put(`a${at}`, "1"), put(`b${at}`, "1")]));
  let turns = 0;
  const counting = setInterval(() => turns += 1, 0);
  const revisions = (await Promise.all(commits)).map(revisionOf);
  clearInterval(counting);
  assert.deepEqual(revisions, revisions.map((_, at) => BigInt(at + 1)));
  assert.ok(turns > 0, "others had their turn in between");
  const large = { key: "large", value: new Uint8Array(3 << 20) };
  const together = await Promise.all([store.commit([large]), store.commit([put("a", "1")])]);
  assert.deepEqual(together.map(revisionOf), [1501n, 1502n]);
});

function cannotOpen(path: string, problem: string | RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof CannotOpenStore, String(error));
    const start = `Cannot open the store "${path}": `;
    assert.ok(error.message.startsWith(start), error.message);
    const rest = error.message.slice(start.length);
    if (typeof problem === "string") assert.equal(rest, problem);
    else assert.match(rest, problem);
    return true;
  };
}

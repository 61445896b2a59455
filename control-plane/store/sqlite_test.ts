import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { NO_REVISION } from "../domain/names.ts";
import { openSqliteStore } from "./sqlite.ts";
import { CannotOpenStore } from "./sqlite_file.ts";
import { contents, put, revisionOf, take, testStore } from "./suite.ts";

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
  edit(folder.file, `UPDATE clock SET revision = ${2n ** 60n + 1n}`);
  await using store = openSqliteStore(folder.file);
  const revision = revisionOf(await store.commit([put("a", "1")]));
  assert.equal(revision, 2n ** 60n + 2n);
  assert.deepEqual(await contents(store), [["a", "1", revision]]);
  assert.equal((await store.commit([put("a", "2")], [{ key: "a", revision }])).kind, "committed");
  await assert.rejects(take(store, "", NO_REVISION, 1), /no longer kept/);
});

Deno.test("openSqliteStore() refuses a file that another process has open", async () => {
  await using folder = await temporaryFolder();
  await using store = openSqliteStore(folder.file);
  await store.commit([put("a", "1")]);
  const script = `
    import { openSqliteStore } from ${JSON.stringify(import.meta.resolve("./sqlite.ts"))};
    try { openSqliteStore(${JSON.stringify(folder.file)}); } catch (error) { console.log(error.message); }`;
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["eval", script], stderr: "inherit" }).output();
  assert.equal(
    new TextDecoder().decode(stdout),
    `Cannot open the store "${folder.file}": another process has locked it: stop that one, or name another file\n`,
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
  edit(folder.file, "PRAGMA user_version = 2");
  assert.throws(
    () => openSqliteStore(folder.file),
    cannotOpen(folder.file, "it has the form 2, this program knows 1: use the program that wrote it or a newer one"),
  );

  assert.throws(() => openSqliteStore(folder.path), cannotOpen(folder.path, "it is a folder: name another file"));
  const nowhere = `${folder.path}/none/map.db`;
  assert.throws(() => openSqliteStore(nowhere), cannotOpen(nowhere, /^it cannot be created: make its folder/));
});

Deno.test("openSqliteStore() refuses a damaged file", async () => {
  await using folder = await temporaryFolder();
  const store = openSqliteStore(folder.file);
  for (let one = 0; one < 20; one++) await store.commit([put(`k${one}`, "x".repeat(3_000))]);
  await store[Symbol.asyncDispose]();
  const whole = await Deno.readFile(folder.file);
  const overwritten = (page: number) => Uint8Array.from(whole).fill(0xaa, page * 4096 + 100, (page + 1) * 4096);
  for (const damaged of [overwritten(0), overwritten(1), whole.subarray(0, 3 * 4096)]) {
    await Deno.writeFile(folder.file, damaged);
    assert.throws(() => openSqliteStore(folder.file), cannotOpen(folder.file, /^the file is damaged: restore it/));
  }
  await Deno.writeFile(folder.file, whole);
  await openSqliteStore(folder.file)[Symbol.asyncDispose]();
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

/** What somebody else does to a file while no store has it open. */
function edit(file: string, sql: string): void {
  const database = new DatabaseSync(file);
  database.exec(sql);
  database.close();
}

async function temporaryFolder() {
  const path = await Deno.makeTempDir();
  return { path, file: `${path}/map.db`, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

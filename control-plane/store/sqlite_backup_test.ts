import assert from "node:assert/strict";
import { NO_REVISION, type Revision } from "../domain/names.ts";
import { openSqliteStore } from "./sqlite.ts";
import { CannotOpenStore } from "./sqlite_file.ts";
import type { Store } from "./store.ts";
import { put, range, revisionOf, writeTogether } from "./suite.ts";
import { edit, refusalElsewhere, temporaryFolder } from "./testing/file.ts";

Deno.test("backup() writes a store as of one revision, with its past, while commits go on", async () => {
  await using folder = await temporaryFolder();
  await using store = openSqliteStore(folder.file);
  await store.commit(range(2_000).map((one) => put(`large/${one}`, "x".repeat(2_000))));
  await writeTogether(store, 100);
  await store.forget(20n as Revision);
  let last = NO_REVISION;
  let going = true;
  const writing = (async () => {
    // Much, so that what is copied would change under the copy if it could.
    for (let round = 0; going; round++) {
      const writes = range(100).map((one) => put(`large/${(round * 100 + one) % 2_000}`, `${round}`.repeat(500)));
      last = revisionOf(await store.commit(writes));
    }
  })();
  const copies = [`${folder.path}/one.db`, `${folder.path}/two.db`];
  await Promise.all(copies.map((copy) => backUp(store, copy)));
  going = false;
  await writing;
  const found = [];
  for (const copy of copies) {
    await using restored = openSqliteStore(copy);
    const snapshot = await restored.read("");
    found.push(snapshot.revision);
    assert.deepEqual(snapshot, await store.read("", snapshot.revision));
    assert.equal(restored.remembered(), 20n);
    const history = await Array.fromAsync(restored.history("", 20n as Revision));
    assert.equal(history.at(-1)?.revision, snapshot.revision);
    assert.deepEqual(history, (await Array.fromAsync(store.history("", 20n as Revision))).slice(0, history.length));
    assert.equal(revisionOf(await restored.commit([put("a", "restored")])), snapshot.revision + 1n);
  }
  assert.ok(found[0]! < found[1]! && found[1]! < last, `${[...found, last]}`);
  const names = [...Deno.readDirSync(folder.path)].map(({ name }) => name).sort();
  assert.deepEqual(names, ["map.db", "map.db-wal", "one.db", "two.db"]);
});

Deno.test("backup() leaves the store locked for other processes", async () => {
  await using folder = await temporaryFolder();
  await using store = openSqliteStore(folder.file);
  await store.commit([put("a", "1")]);
  await store.backup?.(`${folder.path}/copy.db`);
  assert.match(await refusalElsewhere(folder.file), /another process has locked it/);
  assert.equal(await refusalElsewhere(`${folder.path}/copy.db`), "");
  assert.equal((await store.commit([put("a", "2")])).kind, "committed");
});

Deno.test("backup() refuses what it cannot write, and leaves nothing behind", async () => {
  await using folder = await temporaryFolder();
  await using store = openSqliteStore(folder.file);
  await store.commit([put("a", "1")]);
  const there = `${folder.path}/there`;
  await Deno.writeTextFile(there, "mine");
  await assert.rejects(backUp(store, there), {
    message: `Cannot back up to "${there}": expected a new file, this one exists`,
  });
  await assert.rejects(backUp(store, folder.file), /exists$/);
  const nowhere = `${folder.path}/none/copy.db`;
  await assert.rejects(
    backUp(store, nowhere),
    /^Error: Cannot back up to ".+none\/copy.db": No such file or directory/,
  );
  assert.equal(await Deno.readTextFile(there), "mine");
  assert.deepEqual([...Deno.readDirSync(folder.path)].map(({ name }) => name).sort(), [
    "map.db",
    "map.db-wal",
    "there",
  ]);
  assert.equal((await store.commit([put("a", "2")])).kind, "committed");
  await backUp(store, `${folder.path}/copy.db`);
});

Deno.test("dispose waits for a backup, which is whole; later ones fail", async () => {
  await using folder = await temporaryFolder();
  const store = openSqliteStore(folder.file);
  await store.commit(range(1_000).map((one) => put(`${one}`, "x".repeat(2_000))));
  const copy = `${folder.path}/copy.db`;
  const copying = backUp(store, copy);
  while (![...Deno.readDirSync(folder.path)].some(({ name }) => name.endsWith(".part") || name === "copy.db")) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  const last = revisionOf(await store.commit([{ prefix: "" }]));
  await store[Symbol.asyncDispose]();
  await copying;
  await assert.rejects(backUp(store, `${folder.path}/late.db`), /closed/);
  await using opened = openSqliteStore(folder.file);
  assert.deepEqual(await opened.read(""), { revision: last, entries: [] });
  await using copied = openSqliteStore(copy);
  const { revision, entries } = await copied.read("");
  assert.equal(entries.length, revision === last ? 0 : 1_000);
});

Deno.test("backup() of a new store is an empty one, and half of one is none", async () => {
  await using folder = await temporaryFolder();
  await using store = openSqliteStore(folder.file);
  const copy = `${folder.path}/copy.db`;
  await backUp(store, copy);
  {
    await using opened = openSqliteStore(copy);
    assert.deepEqual(await opened.read(""), { revision: NO_REVISION, entries: [] });
  }
  await Deno.truncate(copy, 4096);
  assert.throws(() => openSqliteStore(copy), CannotOpenStore);
});

Deno.test("a copy is a restored store until something was committed to it, and so is a copy of that", async () => {
  await using folder = await temporaryFolder();
  const [copy, second] = [`${folder.path}/copy.db`, `${folder.path}/second.db`];
  {
    await using store = openSqliteStore(folder.file);
    await writeTogether(store, 10);
    await backUp(store, copy);
    assert.equal(store.restored, false);
  }
  const nothing: ((store: Store) => Promise<unknown>)[] = [
    (store) => store.read(""),
    (store) => store.forget(5n as Revision),
    (store) => store.commit([{ prefix: "none/" }]),
    (store) => store.commit([put("a", "1")], [{ key: "a", revision: 99n as Revision }]),
    (store) => backUp(store, second),
  ];
  for (const work of nothing) {
    await using store = openSqliteStore(copy);
    await work(store);
    assert.equal(store.restored, true, `${work}`);
  }
  for (const file of [copy, second]) {
    {
      await using store = openSqliteStore(file);
      assert.equal(store.restored, true);
      assert.deepEqual(
        await Promise.all([put("a", "1"), put("b", "2")].map(async (one) => revisionOf(await store.commit([one])))),
        [11n, 12n],
      );
      assert.equal(store.restored, false);
    }
    await using store = openSqliteStore(file);
    assert.deepEqual([store.restored, (await store.read("")).revision], [false, 12n]);
  }
});

Deno.test("a commit that is rolled back leaves a copy restored", async () => {
  await using folder = await temporaryFolder();
  const copy = `${folder.path}/copy.db`;
  {
    await using store = openSqliteStore(folder.file);
    await backUp(store, copy);
  }
  // Fails as late as it can.
  edit(
    copy,
    `CREATE TABLE one (id INTEGER PRIMARY KEY);
    CREATE TABLE other (one INTEGER REFERENCES one (id) DEFERRABLE INITIALLY DEFERRED);
    CREATE TRIGGER refuse AFTER INSERT ON entries WHEN new.key = 'bad' BEGIN INSERT INTO other VALUES (1); END;`,
  );
  for (const key of ["bad", "bad", "good"]) {
    await using store = openSqliteStore(copy);
    assert.equal(store.restored, true);
    const { kind } = await store.commit([put(key, "1")]);
    assert.deepEqual([kind, store.restored], key === "bad" ? ["unknown", true] : ["committed", false]);
  }
  await using store = openSqliteStore(copy);
  assert.deepEqual([store.restored, (await store.read("")).entries.length], [false, 1]);
});

async function backUp(store: Store, path: string): Promise<void> {
  assert.ok(store.backup);
  await store.backup(path);
}

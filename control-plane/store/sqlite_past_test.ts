import assert from "node:assert/strict";
import type { Revision } from "../domain/names.ts";
import { openSqliteStore } from "./sqlite.ts";
import { Lost, type Store } from "./store.ts";
import { put, range, revisionOf, take, writeTogether } from "./suite.ts";
import { ask, edit, temporaryFolder } from "./testing/file.ts";

Deno.test("forget() gives the room of what it forgets to what comes", async () => {
  await using folder = await temporaryFolder();
  const sizes = [];
  for (const _ of range(6)) {
    await using store = openSqliteStore(folder.file);
    await writeTogether(store, 2_000);
    await store.forget((await store.read("")).revision);
    await store[Symbol.asyncDispose]();
    assert.equal(ask(folder.file, "SELECT count(*) FROM log"), 1);
    sizes.push((await Deno.stat(folder.file)).size);
  }
  assert.ok(sizes.at(-1)! < 2 * sizes[0]!, sizes.join());
});

Deno.test("forget() that was cut off anywhere is not undone, and the next one ends it", async () => {
  await using folder = await temporaryFolder();
  let revisions: readonly Revision[] = [];
  {
    await using store = openSqliteStore(folder.file);
    revisions = await writeTogether(store, 1_000);
  }
  // It says what is forgotten, and then deletes some rows at a time: here it said so, and deleted half of a commit.
  const upTo = revisions[599]!;
  for (const deleted of [0, 301]) {
    edit(folder.file, `UPDATE remembered SET revision = ${upTo}; DELETE FROM log WHERE id <= ${deleted}`);
    await using store = openSqliteStore(folder.file);
    assert.equal(store.remembered(), upTo);
    await assert.rejects(store.read("", revisions[598]!), Lost);
    await assert.rejects(take(store, "", revisions[598]!, 1), Lost);
    const history = await Array.fromAsync(store.history("", upTo));
    assert.deepEqual(history.map(({ revision }) => revision), revisions.slice(600));
    assert.ok((await store.read("", upTo)).entries.every(({ revision }) => revision <= upTo));
  }
  {
    await using store = openSqliteStore(folder.file);
    await store.forget(upTo);
  }
  assert.equal(ask(folder.file, "SELECT count(*) FROM log"), 400 * 2);
});

Deno.test("history(), read() of the past and forget() leave others their turn", async () => {
  await using folder = await temporaryFolder();
  await using store = openSqliteStore(folder.file);
  await writeTogether(store, 5_000);
  const old = revisionOf(await store.commit(range(3_000).map((one) => put(`m${one}`, "1"))));
  const passes: readonly [string, () => Promise<unknown>][] = [
    ["history", () => Array.fromAsync(store.history("none", 0n as Revision))],
    ["read", () => store.read("", 1n as Revision)],
    ["forget", () => store.forget(old)],
  ];
  for (const [name, pass] of passes) {
    const turns = await commitsDuring(store, pass);
    assert.ok(turns >= 10, `${name}: ${turns} commits meanwhile`);
  }
});

Deno.test("history() and read() of the past, however many, take their turns one after the other", async () => {
  await using folder = await temporaryFolder();
  await using store = openSqliteStore(folder.file);
  const old = revisionOf(await store.commit([put("a", "1"), put("b", "1")]));
  for (const round of range(4)) await store.commit(range(500).map((one) => put(`c${one}`, `${round}`)));
  let going = true;
  let turns = 0;
  const count = () => {
    turns++;
    if (going) setImmediate(count);
  };
  setImmediate(count);
  await Promise.all(
    range(30).flatMap((one) => [
      Array.fromAsync(store.history("a", old)),
      store.read(one % 2 === 0 ? "a" : ["a", "b"], old),
    ]),
  );
  going = false;
  // Each goes through 2 000 rows, 500 a turn.
  assert.ok(turns >= 60 * 4, `${turns} turns`);

  // Each read holds what it finds, so a short one waits for a long one.
  const ended: string[] = [];
  const { revision: newest } = await store.read("a");
  const gone = new AbortController();
  const long = store.read("", old).then(() => ended.push("long"));
  const given = store.read("", old, gone.signal).catch(() => ended.push("given up"));
  const short = store.read("a", newest - 1n as Revision).then(() => ended.push("short"));
  gone.abort();
  await Promise.all([long, given, short]);
  assert.deepEqual(ended, ["long", "given up", "short"]);
});

/** How many commits, one after the other, are answered while something goes on. */
async function commitsDuring(store: Store, pass: () => Promise<unknown>): Promise<number> {
  let going = true;
  const passing = pass().finally(() => going = false);
  let turns = 0;
  for (; going; turns++) await store.commit([put("turn", `${turns}`)]);
  await passing;
  return turns;
}

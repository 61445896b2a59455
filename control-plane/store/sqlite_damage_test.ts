import assert from "node:assert/strict";
import type { Revision } from "../domain/names.ts";
import { openSqliteStore } from "./sqlite.ts";
import { CannotOpenStore } from "./sqlite_file.ts";
import { put, range, text } from "./suite.ts";
import { ask, edit, temporaryFolder } from "./testing/file.ts";

const PAGE = 4096;

/** What a disk or an operator may do to a page. */
const DAMAGES: Readonly<Record<string, (file: Uint8Array, page: number) => void>> = {
  "zeros": (file, page) => file.fill(0, page, page + PAGE),
  "other bytes": (file, page) => file.fill(0xaa, page, page + PAGE),
  "zeros in its middle": (file, page) => file.fill(0, page + 2_000, page + 2_600),
  "other bytes at its end": (file, page) => file.fill(0x55, page + 3_900, page + PAGE),
  "the next page": (file, page) =>
    file.copyWithin(page, (page + PAGE) % file.length, (page + PAGE) % file.length + PAGE),
  "one other bit": (file, page) => file[page + page / PAGE * 997 % PAGE]! ^= 1 << page % 7,
};

Deno.test("a SQLite store whose file is damaged anywhere is read as it was, or says so", async () => {
  await using folder = await temporaryFolder();
  await fill(folder.file);
  const whole = await Deno.readFile(folder.file);
  const truth = await readAll(folder.file);
  for (const [name, damage] of Object.entries(DAMAGES)) {
    let noticed = 0;
    for (let page = 0; page < whole.length; page += PAGE) {
      const damaged = whole.slice();
      damage(damaged, page);
      await Deno.writeFile(folder.file, damaged);
      const found = await readAll(folder.file).catch((error: Error) => error);
      if (found instanceof Error) {
        noticed += 1;
        assert.match(found.message, /^Cannot open the store ".+": |^Cannot read the store: .+ is damaged: restore it/);
      } else {
        // Free pages hold nothing.
        assert.ok(found === truth, `${name} in page ${page / PAGE} of ${whole.length / PAGE} were read as if true`);
      }
    }
    assert.ok(noticed > whole.length / PAGE / 3, `${name}: noticed ${noticed} times`);
  }
});

Deno.test("openSqliteStore() refuses a file that was cut off, or whose log has a gap", async () => {
  await using folder = await temporaryFolder();
  await fill(folder.file);
  const whole = await Deno.readFile(folder.file);
  const problem = /^Cannot open the store ".+": the file is damaged: restore it from a backup, or move it away/;
  for (const length of [PAGE, 3 * PAGE, whole.length - PAGE, whole.length - 1]) {
    await Deno.writeFile(folder.file, whole.subarray(0, length));
    assert.throws(() => openSqliteStore(folder.file), (error: Error) => problem.test(error.message));
  }
  await Deno.writeFile(folder.file, whole);
  edit(folder.file, `DELETE FROM log WHERE revision <= 1 + (SELECT revision FROM remembered)`);
  assert.throws(() => openSqliteStore(folder.file), (error: Error) => {
    return error instanceof CannotOpenStore && problem.test(error.message) &&
      error.message.endsWith("(its log has a gap)");
  });
});

/** All kinds of pages: of both tables, inner ones and leaves, overflow of large values, free ones. */
async function fill(file: string): Promise<void> {
  await using store = openSqliteStore(file);
  for (const one of range(80)) {
    const [key, value] = [`map/k${one % 30}`, `${one}`];
    const old = one % 7 === 6 ? { key: `${key}/old` } : put(`${key}/old`, value.repeat(100));
    await store.commit([put(`${key}/touch`, value), put(`${key}/large`, value.repeat(one % 4 * 700)), old]);
  }
  await store.forget(30n as Revision);
  await store[Symbol.asyncDispose]();
  assert.ok(ask(file, "PRAGMA freelist_count") > 5);
}

/** Everything that a store can be asked, as text. */
async function readAll(file: string): Promise<string> {
  await using store = openSqliteStore(file);
  const answers = [
    await store.read(""),
    await store.read("", 30n as Revision),
    await store.read("map/k3", 60n as Revision),
    await Array.fromAsync(store.history("", 30n as Revision)),
    store.remembered(),
    store.restored,
  ];
  return JSON.stringify(answers, (_, value) => {
    if (typeof value === "bigint") return `${value}`;
    return value instanceof Uint8Array ? text(value) : value;
  });
}

import assert from "node:assert/strict";
import { join } from "node:path";
import { type Fields, type Log, SILENT } from "../../proto/log.ts";
import { Ledger } from "./ledger.ts";
import { callRoll, type Entry } from "./roll.ts";

Deno.test("a ledger has what was noted before, and is nothing once nothing is noted", async () => {
  await using temporary = await temporaryFolder();
  const { folder, open } = temporary;
  const ledger = await open();
  assert.deepEqual([ledger.leaseId, ledger.notes.size], [undefined, 0]);
  ledger.leaseId = "l1";
  ledger.note(entry("a"), { said: "{}", status: "passing" });
  ledger.note(entry("b"), { said: "{}" });
  ledger.note(entry("b"), { isLeaving: true, said: undefined });
  ledger.note(entry("c"));
  ledger.strike("s/c");
  await ledger.save();
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["lease.json"]);
  assert.equal((Deno.statSync(join(folder, "lease.json")).mode ?? 0) & 0o777, 0o600);

  const next = await open();
  assert.equal(next.leaseId, "l1");
  assert.deepEqual(Object.fromEntries(next.notes), {
    "s/a": { entry: entry("a"), said: "{}", status: "passing" },
    "s/b": { entry: entry("b"), isLeaving: true },
  });
  // What is unknown of a note stays.
  next.note(entry("a", 2));
  assert.deepEqual(next.notes.get("s/a"), { entry: entry("a", 2), said: "{}", status: "passing" });
  for (const key of [...next.notes.keys()]) next.strike(key);
  await next.save();
  await next.save();
  assert.deepEqual([...Deno.readDirSync(folder)], []);
});

Deno.test("a ledger that cannot be used is logged, and is none", async () => {
  const good = { format: 1, realm: "local", leaseId: "l1", instances: [] };
  const bad = ["", "{", "[]", "null", { ...good, format: 2 }, { ...good, realm: "other" }];
  for (const content of bad) {
    const warned: string[] = [];
    const log: Log = {
      ...SILENT,
      warn: (message, fields?: Fields) => warned.push(`${message}: ${fields?.["reason"]}`),
    };
    await using temporary = await temporaryFolder(log);
    Deno.writeTextFileSync(
      join(temporary.folder, "lease.json"),
      typeof content === "string" ? content : JSON.stringify(content),
    );
    const ledger = await temporary.open();
    assert.deepEqual([ledger.leaseId, ledger.notes.size, warned.length], [undefined, 0, 1], JSON.stringify(content));
  }
});

Deno.test("a ledger leaves out notes that are none", async () => {
  await using temporary = await temporaryFolder();
  const { text } = entry("a");
  const instances = [null, 7, {}, { name: "a.json" }, { name: "a.json", text: "{" }, { name: "a.json", text, said: 1 }];
  const content = { format: 1, realm: "local", leaseId: 7, instances };
  Deno.writeTextFileSync(join(temporary.folder, "lease.json"), JSON.stringify(content));
  const ledger = await temporary.open();
  assert.deepEqual([ledger.leaseId, [...ledger.notes.values()]], [undefined, [{ entry: entry("a") }]]);
});

Deno.test("a ledger that cannot be written is logged once, until it can be", async () => {
  const errors: string[] = [];
  await using temporary = await temporaryFolder({ ...SILENT, error: (message) => errors.push(message) });
  const { folder, open } = temporary;
  const ledger = await open();
  ledger.note(entry("a"));
  Deno.mkdirSync(join(folder, "lease.json"));
  for (let times = 0; times < 2; times++) await ledger.save();
  assert.deepEqual(errors, ["Cannot save what this host has on the map"]);
  Deno.removeSync(join(folder, "lease.json"));
  await ledger.save();
  assert.deepEqual([...(await open()).notes.keys()], ["s/a"]);
});

function entry(id: string, version = 1): Entry {
  const bytes = new TextEncoder().encode(JSON.stringify({ service: "s", port: 1, version }));
  const { roll } = callRoll(new Map(), new Map([[`${id}.json`, { kind: "bytes", bytes }]]));
  return roll.get(`${id}.json`) as Entry;
}

async function temporaryFolder(log: Log = SILENT) {
  const folder = await Deno.makeTempDir({ prefix: "ledger-" });
  return {
    folder,
    open: () => Ledger.open({ folder, realm: "local", log }),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openMemoryStore } from "../store/memory.ts";
import { openSqliteStore } from "../store/sqlite.ts";
import { ask, fieldsOf, testControlPlane } from "./testing.ts";

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "portolan-test-" });
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("GET /backup is a copy that opens as a store, and leaves nothing behind", () =>
  inFolder(async (folder) => {
    await using plane = await testControlPlane({ store: openSqliteStore(`${folder}/map.sqlite`) });
    await plane.register("a");
    const response = await fetch(`${plane.origin}/api/v1/backup`);
    assert.equal(response.headers.get("content-type"), "application/vnd.sqlite3");
    const bytes = await response.bytes();
    assert.equal(response.headers.get("content-length"), String(bytes.length));
    await Deno.writeFile(`${folder}/copy.sqlite`, bytes);
    await plane.register("b");
    const database = new DatabaseSync(`${folder}/copy.sqlite`, { readOnly: true });
    assert.deepEqual({ ...database.prepare("PRAGMA integrity_check").get() }, { integrity_check: "ok" });
    database.close();
    await using copy = openSqliteStore(`${folder}/copy.sqlite`);
    const { entries } = await copy.read("map/local/");
    assert.ok(entries.some(({ key }) => key === "map/local/a/instance/i"));
    assert.ok(!entries.some(({ key }) => key.startsWith("map/local/b/")));
  }));

Deno.test("backups that nobody reads are few, and make room when their readers go", async () => {
  // More than fits between the server and a client that does not read.
  const backup = (path: string) => Deno.writeFile(path, new Uint8Array(32 << 20));
  await using plane = await testControlPlane({ store: Object.assign(openMemoryStore(), { backup }) });
  const url = `${plane.origin}/api/v1/backup`;
  const gone = new AbortController();
  await Promise.all([1, 2].map(() => fetch(url, { signal: gone.signal })));
  const { status, headers, json } = await ask(url);
  assert.deepEqual([status, headers.get("retry-after"), json.code], [429, "1", "RESOURCE_EXHAUSTED"]);
  gone.abort();
  const room = async () => {
    const response = await fetch(url);
    await response.body?.cancel();
    return response.status;
  };
  for (let tries = 0; await room() !== 200; tries++) assert.ok(tries < 1_000, "a place stays taken");
  // Nobody reads what answers HEAD.
  for (let i = 0; i < 5; i++) assert.equal((await fetch(url, { method: "HEAD" })).status, 200);
});

Deno.test("GET /backup is refused where the store keeps no file", async () => {
  await using plane = await testControlPlane();
  const answer = await ask(`${plane.origin}/api/v1/backup`);
  assert.deepEqual([answer.status, fieldsOf(answer)], [400, ["store"]]);
});

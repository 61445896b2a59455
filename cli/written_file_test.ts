import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EXIT, Failure } from "./command.ts";
import { writeWhole } from "./written_file.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "portolan-written-"));
  try {
    await test(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

Deno.test("writeWhole() writes everything under the name, in place of what was there, and nothing beside it", async () => {
  await inFolder(async (folder) => {
    const file = join(folder, "a");
    writeFileSync(file, "before, and longer");
    assert.equal(await writeWhole(file, [bytes("one "), bytes("two")]), 7);
    assert.deepEqual([readdirSync(folder), readFileSync(file, "utf8")], [["a"], "one two"]);
  });
});

Deno.test("writeWhole() leaves what was there when the bytes break off, and nothing beside it", async () => {
  await inFolder(async (folder) => {
    const file = join(folder, "a");
    writeFileSync(file, "before");
    async function* broken() {
      yield await Promise.resolve(bytes("half"));
      assert.deepEqual([readFileSync(file, "utf8"), readdirSync(folder).length], ["before", 2]);
      throw new Error("broke off");
    }
    await assert.rejects(writeWhole(file, broken()), /broke off/);
    assert.deepEqual([readdirSync(folder), readFileSync(file, "utf8")], [["a"], "before"]);
  });
});

Deno.test("writeWhole() says why it cannot", async () => {
  await inFolder(async (folder) => {
    const refused = async (path: string, why: RegExp) =>
      await assert.rejects(writeWhole(path, [bytes("x")]), (error) => {
        assert.ok(error instanceof Failure);
        assert.equal(error.exit, EXIT.refused);
        assert.match(error.message, why);
        return true;
      });
    await refused(join(folder, "none", "a"), /^Cannot write ".*none\/a": its folder does not exist$/);
    await refused(folder, /: it is a folder$/);
    assert.deepEqual(readdirSync(folder), []);
  });
});

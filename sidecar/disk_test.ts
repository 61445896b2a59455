import assert from "node:assert/strict";
import { removeFile, replaceFile } from "./disk.ts";

Deno.test("replaceFile() puts a file in place for this user alone, and leaves nothing beside it, nor where it fails", async () => {
  const folder = await Deno.makeTempDir({ prefix: "disk-" });
  const path = `${folder}/it`;
  const names = () => [...Deno.readDirSync(folder)].map(({ name }) => name);
  for (const text of ["one", "two, which is longer", ""]) {
    await replaceFile(path, new TextEncoder().encode(text));
    assert.equal(await Deno.readTextFile(path), text);
  }
  assert.equal((await Deno.stat(path)).mode, 0o100_600);
  assert.deepEqual(names(), ["it"]);
  await removeFile(path);
  await removeFile(path);
  await Deno.mkdir(path);
  await assert.rejects(replaceFile(path, new Uint8Array(1)));
  assert.deepEqual(names(), ["it"]);
  await Deno.mkdir(`${path}/full`);
  await assert.rejects(removeFile(path));
  await Deno.remove(folder, { recursive: true });
});

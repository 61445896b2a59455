import assert from "node:assert/strict";
import { join } from "node:path";
import { SILENT } from "../../proto/log.ts";
import { ServicesFolder } from "./folder.ts";

Deno.test("a services folder has the files of services in it, and says what cannot be read of them", async () => {
  await using temporary = await temporaryFolder();
  const { path } = temporary;
  await write(path, { "a.json": "1", ".b.json": "2", "c.json~": "3", "d.txt": "4", ".json": "5", "e.json": "é" });
  await Deno.writeFile(join(path, "large.json"), new Uint8Array(64 * 1_024 + 1));
  await Deno.mkdir(join(path, "folder.json"));
  await new Deno.Command("mkfifo", { args: [join(path, "pipe.json")] }).output();
  await Deno.symlink(join(path, "nowhere"), join(path, "nowhere.json"));
  await Deno.symlink("d.txt", join(path, "link.json"));
  using folder = new ServicesFolder({ path, onChange() {}, log: SILENT });
  const found = await textsOf(folder);
  assert.match(found["nowhere.json"] ?? "", /^it cannot be read: No such file/);
  assert.deepEqual({ ...found, "nowhere.json": "" }, {
    "a.json": "1",
    "e.json": "é",
    "folder.json": "expected a file; move it elsewhere",
    "large.json": "expected at most 65536 bytes, not 65537",
    "link.json": "4",
    "nowhere.json": "",
    "pipe.json": "expected a file; move it elsewhere",
  });
});

Deno.test("a services folder is read until two reads agree: what is half written is not taken for the whole", async () => {
  await using temporary = await temporaryFolder();
  const { path } = temporary;
  await write(path, { "a.json": "{" });
  using folder = new ServicesFolder({ path, onChange() {}, log: SILENT });
  const reading = textsOf(folder);
  // An editor that replaces one file and goes on writing another.
  const late = setTimeout(() => Deno.writeTextFileSync(join(path, "a.json"), "{}"), 20);
  assert.deepEqual(await reading, { "a.json": "{}" });
  clearTimeout(late);
});

Deno.test("a services folder tells of changes, also where it came later, was replaced, or is a link that moves", async () => {
  await using temporary = await temporaryFolder();
  const path = join(temporary.path, "services");
  let changes = 0;
  let heard = Promise.withResolvers<void>();
  using folder = new ServicesFolder({ path, onChange: () => heard.resolve(), log: SILENT });
  /** Looks as often as it takes until a change is told. */
  const hears = async () => {
    await folder.settled();
    heard = Promise.withResolvers();
    let isHeard = false;
    while (!isHeard) {
      folder.watch();
      await write(path, { "a.json": `${++changes}` });
      isHeard = await Promise.race([heard.promise.then(() => true), later().then(() => false)]);
      assert.deepEqual(await textsOf(folder), { "a.json": `${changes}` });
    }
  };

  folder.watch();
  const missing = await folder.settled();
  assert.match(missing.kind === "unreadable" ? missing.reason : "", /^the folder cannot be read: No such file/);
  await Deno.mkdir(path);
  await hears();
  for (let times = 0; times < 2; times++) {
    await Deno.remove(path, { recursive: true });
    await Deno.mkdir(path);
    await hears();
  }
  await Deno.rename(path, join(temporary.path, "old"));
  await Deno.mkdir(path);
  await hears();
  await Deno.remove(path, { recursive: true });

  // As config maps are mounted.
  for (const version of ["v1", "v2"]) {
    await Deno.mkdir(join(temporary.path, version));
    await write(join(temporary.path, version), { "a.json": version });
    await Deno.symlink(version, join(temporary.path, "next"));
    await Deno.rename(join(temporary.path, "next"), path);
    assert.deepEqual(await textsOf(folder), { "a.json": version });
    await hears();
  }
});

Deno.test("a services folder does not tell of its own reading", async () => {
  await using temporary = await temporaryFolder();
  const { path } = temporary;
  let changes = 0;
  let written = Promise.withResolvers<void>();
  // It is made, and written to.
  using folder = new ServicesFolder({ path, onChange: () => ++changes === 2 && written.resolve(), log: SILENT });
  folder.watch();
  await write(path, { "a.json": "1" });
  await written.promise;
  assert.deepEqual(await textsOf(folder), { "a.json": "1" });
  assert.equal(changes, 2);
  changes = 0;
  written = Promise.withResolvers();
  await write(path, { "b.json": "1" });
  await written.promise;
  assert.equal(changes, 2);
});

function later(): Promise<void> {
  return new Promise((done) => setTimeout(done, 200));
}

async function textsOf(folder: ServicesFolder): Promise<Record<string, string>> {
  const contents = await folder.settled();
  assert.ok(contents.kind === "files");
  return Object.fromEntries(
    [...contents.files].map(([name, found]) => [
      name,
      found.kind === "bytes" ? new TextDecoder().decode(found.bytes) : found.reason,
    ]),
  );
}

async function write(path: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(join(path, name), text);
}

async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await Deno.makeTempDir({ prefix: "services-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

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
  let changed = Promise.withResolvers<void>();
  using folder = new ServicesFolder({ path, onChange: () => changed.resolve(), log: SILENT });
  await folder.watch();
  const missing = await folder.settled();
  assert.match(missing.kind === "unreadable" ? missing.reason : "", /^the folder cannot be read: No such file/);
  const hears = async (change: () => Promise<unknown>) => {
    await folder.watch();
    // What is still to be heard of the change before.
    await folder.settled();
    changed = Promise.withResolvers();
    await change();
    await changed.promise;
  };

  await Deno.mkdir(path);
  await hears(() => write(path, { "a.json": "1" }));
  await hears(() => Deno.rename(join(path, "a.json"), join(path, "b.json")));
  await hears(() => Deno.remove(join(path, "b.json")));
  // The next folder may look like the one before.
  await hears(() => Deno.remove(path, { recursive: true }));
  await Deno.mkdir(path);
  await hears(() => write(path, { "c.json": "1" }));
  await hears(() => Deno.remove(path, { recursive: true }));

  // As config maps are mounted.
  for (const version of ["v1", "v2"]) {
    await Deno.mkdir(join(temporary.path, version));
    await write(join(temporary.path, version), { "a.json": version });
  }
  await Deno.symlink("v1", path);
  await hears(() => write(join(temporary.path, "v1"), { "b.json": "1" }));
  assert.deepEqual(await textsOf(folder), { "a.json": "v1", "b.json": "1" });
  await Deno.symlink("v2", join(temporary.path, "next"));
  await Deno.rename(join(temporary.path, "next"), path);
  assert.deepEqual(await textsOf(folder), { "a.json": "v2" });
  await hears(() => write(join(temporary.path, "v2"), { "b.json": "2" }));
});

Deno.test("a services folder does not tell of its own reading", async () => {
  await using temporary = await temporaryFolder();
  const { path } = temporary;
  let changes = 0;
  let written = Promise.withResolvers<void>();
  // It is made, and written to.
  using folder = new ServicesFolder({ path, onChange: () => ++changes === 2 && written.resolve(), log: SILENT });
  await folder.watch();
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

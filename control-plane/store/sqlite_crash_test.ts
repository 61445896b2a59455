import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { openSqliteStore } from "./sqlite.ts";
import { put, revisionOf } from "./suite.ts";

const CHILD = new URL("./testing/committer.ts", import.meta.url).pathname;

for (const together of [1, 64]) {
  Deno.test(`a SQLite store killed at any moment is whole again, ${together} committing at once`, async () => {
    await using folder = await temporaryFolder();
    const known = new Map<number, bigint>();
    for (let round = 0; round < 6; round++) {
      const first = round * 1_000_000;
      const seed = (round + 1) * together * 2_654_435_761 % 2 ** 32;
      // Some rounds end within the first commits, some past a checkpoint of the log.
      const enough = seed % (round % 2 === 0 ? 8 : 900);
      // An answer comes between two commits: some ms later (1 of them holds several commits) it is anywhere.
      const later = seed % 13;
      const lines = await runAndKill(
        denoRun(folder.file, `${first}`, `${together}`),
        (_, count) => count > enough,
        later,
      );
      for (const line of lines) record(known, line);
      await check(folder.file, known, first);
    }
  });
}

Deno.test("a SQLite store whose log was cut off anywhere has every commit before the cut, and nothing of the one in it", async () => {
  await using folder = await temporaryFolder();
  await using store = openSqliteStore(folder.file);
  const log = `${folder.file}-wal`;
  const ends = [(await Deno.stat(log)).size];
  for (let number = 0; number < 5; number++) {
    const value = new Uint8Array(3_000).fill(number);
    revisionOf(await store.commit(["a", "b", "c"].map((part) => ({ key: `${number}/${part}`, value }))));
    ends.push((await Deno.stat(log)).size);
  }
  const whole = await Deno.readFile(log);
  const copy = `${folder.path}/copy.db`;
  // Odd steps end inside of headers, pages and frames; all that a machine may lose is what was not yet acknowledged.
  for (let cut = ends[0]!; cut <= whole.length; cut += 1_531) {
    await Deno.copyFile(folder.file, copy);
    await Deno.writeFile(`${copy}-wal`, whole.subarray(0, cut));
    await using reopened = openSqliteStore(copy);
    const { entries, revision } = await reopened.read("");
    const complete = ends.filter((end) => end <= cut).length - 1;
    assert.equal(revision, BigInt(complete));
    const expected = Array.from(
      { length: complete },
      (_, number) => ["a", "b", "c"].map((part) => `${number}/${part}`),
    );
    assert.deepEqual(entries.map(({ key }) => key), expected.flat());
  }
});

Deno.test("a SQLite store answers unknown when its log cannot be written, and tells all or none when it is opened again", async () => {
  await using folder = await temporaryFolder();
  // A limit on the size of files (in blocks of 512 bytes) is an I/O error that needs no rights.
  const limited = ["/bin/sh", "-c", `trap '' XFSZ; ulimit -f 2048; exec "$0" "$@"`, ...denoRun(folder.file, "0", "4")];
  const lines = await runAndKill(limited, (line) => line === "end");
  const known = new Map<number, bigint>();
  for (const line of lines) record(known, line);
  assert.ok(known.size > 10, lines.join("\n"));
  assert.deepEqual([...new Set(lines.map((line) => line.split(" ")[0]))], ["committed", "unknown", "readable", "end"]);
  assert.ok(lines.includes(`readable ${known.size * 3}`));
  await check(folder.file, known, 0);
});

const canMount = (await run("/usr/bin/unshare", ["--mount", "mount", "-t", "tmpfs", "none", "/mnt"])) === 0;

Deno.test({
  name: "a SQLite store refuses commits while the disk is full, reads on, and recovers",
  // Needs a disk of its own: root, or a machine that lets others mount one.
  ignore: !canMount,
  async fn() {
    await using folder = await temporaryFolder();
    const script = `mount -t tmpfs -o size=3m none "$0" && head -c 1000000 /dev/zero >"$0/ballast" && exec "$@"`;
    const child = denoRun(folder.file, "0", "4", `${folder.path}/ballast`);
    const command = ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", script, folder.path, ...child];
    const lines = await runAndKill(command, (line) => line === "end");
    const kinds = lines.map((line) => line.split(" ")[0]);
    assert.deepEqual([...new Set(kinds)], ["committed", "refused", "readable", "end"], lines.join("\n"));
    assert.equal(kinds.at(-2), "committed");
    const before = kinds.indexOf("refused");
    assert.ok(lines.includes(`readable ${before * 3}`));
    // What was refused left no trace, not in the revision either.
    assert.equal(lines.at(-2)?.split(" ")[2], `${before + 1}`);
  },
});

function record(known: Map<number, bigint>, line: string): void {
  const [kind, number, revision] = line.split(" ");
  if (kind === "committed") known.set(Number(number), BigInt(revision!));
}

/** Holds what is in the file against what was acknowledged, and adds what was written without an acknowledgement. */
async function check(file: string, known: Map<number, bigint>, first: number): Promise<void> {
  await using store = openSqliteStore(file);
  const { entries, revision: newest } = await store.read("");
  const commits = Map.groupBy(entries, ({ key }) => Number(key.split("/")[0]));
  const revisions = [];
  for (const [number, parts] of commits) {
    const revision = parts[0]!.revision;
    assert.deepEqual(parts.map((part) => [part.key, part.revision]), [
      [`${number}/a`, revision],
      [`${number}/b`, revision],
      [`${number}/c`, revision],
    ]);
    for (const { value } of parts) assert.ok(value.length === 2_000 && value.every((byte) => byte === number % 256));
    if (known.has(number)) assert.equal(revision, known.get(number));
    else assert.ok(number >= first, `${number} came back from before the last start`);
    known.set(number, revision);
    revisions.push(revision);
    assert.ok(revision <= newest);
  }
  for (const number of known.keys()) assert.ok(commits.has(number), `${number} was acknowledged and is gone`);
  assert.equal(new Set(revisions).size, revisions.length);
  const probe = revisionOf(await store.commit([put("probe", "1")]));
  assert.ok(probe > newest);
  await store.commit([{ key: "probe" }]);
}

function denoRun(...args: readonly string[]): readonly string[] {
  return [Deno.execPath(), "run", "--quiet", "--cached-only", "--allow-read", "--allow-write", CHILD, ...args];
}

/** Runs until a line says that it is enough, kills it `later` ms after, and gives all lines that came out. */
async function runAndKill(
  [program, ...args]: readonly string[],
  enough: (line: string, count: number) => boolean,
  later = 0,
): Promise<readonly string[]> {
  const child = spawn(program!, args, { stdio: ["ignore", "pipe", "inherit"] });
  const closed = once(child, "close");
  const lines: string[] = [];
  let kill: ReturnType<typeof setTimeout> | undefined;
  for await (const line of createInterface({ input: child.stdout! })) {
    if (lines.push(line) && enough(line, lines.length)) kill ??= setTimeout(() => child.kill("SIGKILL"), later);
  }
  await closed;
  return lines;
}

async function run(program: string, args: readonly string[]): Promise<number | null> {
  const child = spawn(program, args, { stdio: "ignore" });
  return await new Promise((resolve) => {
    child.once("error", () => resolve(null));
    child.once("close", resolve);
  });
}

async function temporaryFolder() {
  const path = await Deno.makeTempDir();
  return { path, file: `${path}/map.db`, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { openSqliteStore } from "./sqlite.ts";
import type { Store } from "./store.ts";
import { put, revisionOf } from "./suite.ts";
import type { Task } from "./testing/committer.ts";
import { temporaryFolder } from "./testing/file.ts";

const CHILD = new URL("./testing/committer.ts", import.meta.url).pathname;

for (const [together, forgetting] of [[1, true], [64, false], [64, true]] as const) {
  const how = `${together} committing at once${forgetting ? ", forgetting" : ""}`;
  Deno.test(`a SQLite store killed at any moment is whole again, ${how}`, async () => {
    await using folder = await temporaryFolder();
    const known = new Map<number, bigint>();
    for (let round = 0; round < 6; round++) {
      const first = round * 1_000_000;
      const seed = (round + 1) * together * 2_654_435_761 % 2 ** 32;
      // Some rounds end within the first commits, some past a checkpoint of the log.
      const enough = seed % (round % 2 === 0 ? 8 : 900);
      // An answer comes between two commits: some ms later (1 of them holds several commits) it is anywhere.
      const later = seed % 13;
      const task = { file: folder.file, first, together, forgetting };
      const lines = await runAndKill(denoRun(task), (_, count) => count > enough, later);
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
  const limited = [
    "/bin/sh",
    "-c",
    `trap '' XFSZ; ulimit -f 2048; exec "$0" "$@"`,
    ...denoRun({ file: folder.file, first: 0, together: 4 }),
  ];
  const lines = await runAndKill(limited, (line) => line === "end");
  const known = new Map<number, bigint>();
  for (const line of lines) record(known, line);
  assert.ok(known.size > 10, lines.join("\n"));
  assert.deepEqual([...new Set(lines.map((line) => line.split(" ")[0]))], [
    "committed",
    "unknown",
    "readable",
    "watched",
    "end",
  ]);
  assert.ok(lines.includes(`readable ${known.size * 3} ${known.size}`), lines.join("\n"));
  assert.ok(lines.includes(`watched ${known.size}`), lines.join("\n"));
  await check(folder.file, known, 0);
});

const canMount = await succeeds(["/usr/bin/unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]);

Deno.test({
  name: "a SQLite store refuses commits while the disk is full, reads and watches on, and recovers",
  // Needs a disk of its own: root, or a machine that lets others mount one.
  ignore: !canMount,
  async fn() {
    await using folder = await temporaryFolder();
    const script = `mount -t tmpfs -o size=8m none "$0" && head -c 2000000 /dev/zero >"$0/ballast" && exec "$@"`;
    const child = denoRun({ file: folder.file, first: 0, together: 4, ballast: `${folder.path}/ballast` });
    const command = ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", script, folder.path, ...child];
    const lines = await runAndKill(command, (line) => line === "end");
    const kinds = lines.map((line) => line.split(" ")[0]);
    const before = kinds.indexOf("refused");
    const from = lines.findIndex((line) => line.startsWith("readable"));
    assert.deepEqual([...new Set(kinds.slice(0, from))], ["committed", "refused"], lines.join("\n"));
    assert.ok(kinds.slice(before, from).every((kind) => kind === "refused"));
    // What was refused left no trace, not in the revision either.
    assert.deepEqual(lines.slice(from), [
      `readable ${before * 3} ${before}`,
      'Cannot back up to "COPY": database or disk is full',
      `committed ${from} ${before + 1}`,
      `watched ${before + 1}`,
      `kept ${(before + 1) * 3}`,
      "files map.db,map.db-wal",
      "end",
    ]);
  },
});

const INJECT = ["/usr/bin/strace", "-f", "-qq", "-e", "trace=fsync,fdatasync"];
const failing = (nth: number) => ["-e", `inject=fsync,fdatasync:error=EIO:when=${nth}`];
const canInject = await succeeds([...INJECT, "-o", "/dev/null", ...failing(1), "/bin/true"]);

Deno.test({
  name: "a SQLite store acknowledges no commit whose sync failed, whichever sync it is",
  // Needs strace, and the right to use it.
  ignore: !canInject,
  async fn() {
    const commits = 5;
    const unknown = [];
    for (let nth = 1, failed = true; failed; nth++) {
      assert.ok(nth < 50);
      await using folder = await temporaryFolder();
      const trace = `${folder.path}/trace`;
      const child = denoRun({ file: folder.file, first: 0, together: 1, enough: commits });
      const lines = await runAndKill([...INJECT, "-o", trace, ...failing(nth), ...child], () => false);
      failed = (await Deno.readTextFile(trace)).includes("INJECTED");
      const kinds = lines.slice(0, -1).map((line) => line.replace(/ .*/, ""));
      if (kinds[0] === "Cannot") {
        assert.match(lines[0]!, /^Cannot open the store ".+": disk I\/O error$/);
      } else {
        assert.equal(kinds.length, commits);
        const lost = kinds.flatMap((kind, number) => kind === "unknown" ? [number] : []);
        assert.ok(lost.length <= 1 && kinds.every((kind) => kind === "committed" || kind === "unknown"), lines.join());
        unknown.push(...lost);
      }
      const known = new Map<number, bigint>();
      for (const line of lines) record(known, line);
      await check(folder.file, known, 0);
    }
    assert.deepEqual(unknown, Array.from({ length: commits }, (_, number) => number));
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
  await checkPast(store);
  const probe = revisionOf(await store.commit([put("probe", "1")]));
  assert.ok(probe > newest);
  await store.commit([{ key: "probe" }]);
}

/** What was, and what was done since, adds up to what is. */
async function checkPast(store: Store): Promise<void> {
  const from = store.remembered();
  const { entries } = await store.read("", from);
  const map = new Map(entries.map((entry) => [entry.key, entry]));
  let position = from;
  for await (const { revision, writes } of store.history("", from)) {
    assert.equal(revision, position + 1n);
    position = revision;
    for (const { key, value } of writes) {
      if (value) map.set(key, { key, value, revision });
      else map.delete(key);
    }
  }
  const now = await store.read("");
  assert.equal(now.revision, position);
  assert.deepEqual(new Map(now.entries.map((entry) => [entry.key, entry])), map);
}

function denoRun(task: Task): readonly string[] {
  const rights = ["--quiet", "--cached-only", "--allow-read", "--allow-write"];
  return [Deno.execPath(), "run", ...rights, CHILD, JSON.stringify(task)];
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

async function succeeds([program, ...args]: readonly string[]): Promise<boolean> {
  const child = spawn(program!, args, { stdio: "ignore" });
  return await new Promise((resolve) => {
    child.once("error", () => resolve(false));
    child.once("close", (code) => resolve(code === 0));
  });
}

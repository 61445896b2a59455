/**
 * What `sqlite_crash_test.ts` runs in a process of its own, to kill it or to take its disk away: commits on and on and
 * prints a line for every answer. The one argument is its task, as JSON.
 */
import { dirname } from "node:path";
import { NO_REVISION, type Revision } from "../../domain/names.ts";
import { openSqliteStore } from "../sqlite.ts";
import type { Commit, Store, Write } from "../store.ts";

export interface Task {
  readonly file: string;
  /** The number of the first commit. */
  readonly first: number;
  /** How many commits are under way at once. */
  readonly together: number;
  /** Forgets what is some commits old. */
  readonly forgetting?: boolean;
  /** Ends after so many commits; else when one of them fails. */
  readonly enough?: number;
  /** A file that takes up room: it is removed when a commit has failed. */
  readonly ballast?: string;
}

const task: Task = JSON.parse(Deno.args[0] ?? "");
let number = task.first;
try {
  await run(openSqliteStore(task.file));
} catch (error) {
  print((error as Error).message);
}
print("end");
// What is left behind shall be what a killed process leaves.
if (!task.enough) setInterval(() => {}, 1_000);

async function run(store: Store): Promise<void> {
  let watched = 0;
  const ended = new AbortController();
  const watching = (async () => {
    for await (const _ of store.watch("", NO_REVISION, ended.signal)) watched += 1;
  })();
  let answers: readonly Commit[];
  do {
    answers = await Promise.all(Array.from({ length: task.together }, () => commitOne(store, number++)));
    if (task.forgetting) await forget(store, answers.at(-1));
  } while (task.enough ? number < task.first + task.enough : answers.every(({ kind }) => kind === "committed"));
  if (task.enough) return await store[Symbol.asyncDispose]();

  // Something is wrong with the disk: reading goes on, and writing too once there is room.
  print(
    `readable ${(await store.read("")).entries.length} ${
      (await Array.fromAsync(store.history("", NO_REVISION))).length
    }`,
  );
  if (task.ballast) {
    const copy = `${task.file}.copy`;
    print(
      await store.backup?.(copy).then(() => "backed up", (error: Error) => error.message.replace(copy, "COPY")) ?? "",
    );
    await Deno.remove(task.ballast);
    await commitOne(store, number++);
  }
  ended.abort();
  await watching;
  print(`watched ${watched}`);
  if (!task.ballast) return;
  await store[Symbol.asyncDispose]();
  await using reopened = openSqliteStore(task.file);
  print(`kept ${(await reopened.read("")).entries.length}`);
  print(`files ${[...Deno.readDirSync(dirname(task.file))].map(({ name }) => name).sort()}`);
}

/** Three keys that belong together, of a size that makes the log grow past its checkpoints. */
async function commitOne(store: Store, number: number): Promise<Commit> {
  const value = new Uint8Array(2_000).fill(number % 256);
  const writes: Write[] = ["a", "b", "c"].map((part) => ({ key: `${number}/${part}`, value }));
  const answer = await store.commit(writes);
  print(answer.kind === "committed" ? `committed ${number} ${answer.revision}` : `${answer.kind} ${number}`);
  return answer;
}

async function forget(store: Store, answer: Commit | undefined): Promise<void> {
  if (answer?.kind === "committed" && answer.revision > 30n) await store.forget(answer.revision - 30n as Revision);
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));
}

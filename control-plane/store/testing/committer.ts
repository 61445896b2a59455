/**
 * What `sqlite_crash_test.ts` runs in a process of its own, to kill it or to take its disk away: commits on and on and
 * prints a line for every answer. Arguments: the file, the first number, how many at once, a file that takes up room.
 */
import { openSqliteStore } from "../sqlite.ts";
import type { Commit, Write } from "../store.ts";

const [file = "", first = "0", together = "1", ballast = ""] = Deno.args;
const store = openSqliteStore(file);
let number = Number(first);
let answers: readonly Commit[];

do {
  answers = await Promise.all(Array.from({ length: Number(together) }, () => commitOne(number++)));
} while (answers.every(({ kind }) => kind === "committed"));

// Something is wrong with the disk: reading goes on, and writing too once there is room.
print(`readable ${(await store.read("")).entries.length}`);
if (ballast) await Deno.remove(ballast);
if (ballast) await commitOne(number++);
print("end");
// What is left behind shall be what a killed process leaves.
setInterval(() => {}, 1_000);

/** Three keys that belong together, of a size that makes the log grow past its checkpoints. */
async function commitOne(number: number): Promise<Commit> {
  const value = new Uint8Array(2_000).fill(number % 256);
  const writes: Write[] = ["a", "b", "c"].map((part) => ({ key: `${number}/${part}`, value }));
  const answer = await store.commit(writes);
  print(answer.kind === "committed" ? `committed ${number} ${answer.revision}` : `${answer.kind} ${number}`);
  return answer;
}

function print(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));
}

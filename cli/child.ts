import { closeSync, fstatSync, openSync, readFileSync, writeSync } from "node:fs";

interface ChildSpec {
  /** What people call it. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** File that what it prints is added to: another one may be writing there. */
  readonly log: string;
}

/** Another program that runs in a process group of its own: a Ctrl-C at the terminal reaches it through us only. */
export interface Child {
  readonly name: string;
  readonly log: string;
  /** Resolves when it has ended, with how: `code 1`, `signal SIGKILL`. */
  readonly ended: Promise<string>;
  /** Asks it to end; after `graceMs` its whole group is killed. Resolves when it has ended, with whether it did by itself. */
  stop(graceMs: number): Promise<boolean>;
  /** Ends its whole group at once. */
  kill(): void;
  /** The last lines that it printed. */
  tail(lines: number): string;
}

export function startChild({ name, command, args, cwd, env, log }: ChildSpec): Child {
  const process = new Deno.Command(command, {
    args: [...args],
    cwd,
    env,
    detached: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const file = openSync(log, "a");
  const begun = fstatSync(file).size;
  const copied = Promise.all([copy(process.stdout, file), copy(process.stderr, file)]).then(() => closeSync(file));
  let over = false;
  const ended = process.status.then(async ({ code, signal }) => {
    over = true;
    // What it started may hold its output open; its own last words are there by then.
    await Promise.race([copied, new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS))]);
    return signal ? `signal ${signal}` : `code ${code}`;
  });
  const send = (signal: Deno.Signal, pid: number) => {
    try {
      if (!over) Deno.kill(pid, signal);
    } catch (error) {
      // It ended in this moment.
      if (!(error instanceof Deno.errors.NotFound) && !(error instanceof TypeError)) throw error;
    }
  };
  const kill = () => send("SIGKILL", -process.pid);
  return {
    name,
    log,
    ended,
    kill,
    async stop(graceMs) {
      send("SIGTERM", process.pid);
      let killed = false;
      const late = setTimeout(() => (killed = true, kill()), graceMs);
      await ended;
      clearTimeout(late);
      return !killed;
    },
    tail: (lines) => readFileSync(log).subarray(begun).toString().trimEnd().split("\n").slice(-lines).join("\n"),
  };
}

const LAST_WORDS_MS = 500;

async function copy(from: ReadableStream<Uint8Array>, file: number): Promise<void> {
  for await (const bytes of from) {
    try {
      writeSync(file, bytes);
    } catch {
      // A full disk costs lines of the log. Read on: a program whose output nobody takes stands still.
    }
  }
}

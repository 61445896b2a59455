/** The command line: finds the command, runs it, says in one sentence what went wrong. */
import { EXIT, type Exit, Failure, type Io } from "./command.ts";
import { COMMANDS, LISTED } from "./commands.ts";
import { nearest } from "./nearest.ts";
import { openScreen } from "./screen.ts";
import { oneLine, table } from "./table.ts";
import { VERSION } from "../proto/version.ts";

/** Runs one command to its end; never throws for what a user can do wrong. */
export async function run([word, ...args]: readonly string[], io: Io): Promise<Exit> {
  if (word === "--version") return io.out(`portolan ${VERSION}\n`), EXIT.done;
  if (word === "--help" || word === "-h" || word === "help") return io.out(help()), EXIT.done;
  if (word === undefined) return io.err(help()), EXIT.usage;
  const command = COMMANDS.find(({ name }) => name === word);
  if (!command) return io.err(`portolan: ${unknown(word)}\n`), EXIT.usage;
  try {
    return await command.run(args, io);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const more = error.exit === EXIT.usage ? `; see ./portolan ${word} --help` : "";
    io.err(`portolan ${word}: ${oneLine(error.message)}${more}\n`);
    return error.exit;
  }
}

function help(): string {
  const rows = LISTED.map(({ name, summary }) => ["  " + name, summary]);
  return `Portolan: one map of which service listens where

Usage: ./portolan COMMAND [arguments] [flags]

${table(rows)}
./portolan COMMAND --help shows a command's flags and an example. Start with ./portolan up.
`;
}

function unknown(word: string): string {
  const near = nearest(word, LISTED.map(({ name }) => name));
  return `Unknown command "${oneLine(word)}": ${near ? `did you mean ${near}?` : "./portolan --help lists them"}`;
}

if (import.meta.main) {
  const utf8 = new TextEncoder();
  Deno.exit(
    await run(Deno.args, {
      env: Deno.env.toObject(),
      out: (text) => writeAll(Deno.stdout, utf8.encode(text)),
      err: (text) => writeAll(Deno.stderr, utf8.encode(text)),
      lookedOn: Deno.stderr.isTerminal(),
      ...(Deno.stdin.isTerminal() && Deno.stdout.isTerminal() && { openScreen }),
    }),
  );
}

/** A reader that has left (`| head`) is no reason to complain. */
function writeAll(to: typeof Deno.stdout, bytes: Uint8Array): void {
  try {
    for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
  } catch (error) {
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    Deno.exit(EXIT.done);
  }
}

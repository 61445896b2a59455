/** Runs the command line in tests: within this process, or as the program that users start. */
import { run as runHere } from "../main.ts";

export interface Outcome {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

/** One command within this process, with nothing in its environment but `env`. */
export async function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  let [out, err] = ["", ""];
  const exit = await runHere(args, { env, out: (text) => void (out += text), err: (text) => void (err += text) });
  return { exit, out, err };
}

/** The program itself, with its output piped, and nothing or what the test writes as its input. */
export function spawn(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  stdin: "null" | "piped" = "null",
): Deno.ChildProcess {
  const main = new URL("../main.ts", import.meta.url).pathname;
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--cached-only", "--allow-all", main, ...args],
    env,
    stdin,
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** The lines of a program's output as they come. */
export async function* lines(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<string> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const pieces = (rest + text).split("\n");
    rest = pieces.pop() ?? "";
    yield* pieces;
  }
  if (rest) yield rest;
}

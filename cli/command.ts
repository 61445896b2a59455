import { describeFlags, type Flags, loadSettings, type Settings } from "../proto/settings.ts";
import type { Screen } from "./screen.ts";

/** What a command ends with; scripts rely on it. */
export const EXIT = { done: 0, refused: 1, usage: 2, unreachable: 3 } as const;
export type Exit = (typeof EXIT)[keyof typeof EXIT];

/** Why a command did not do what was asked: one sentence, and what it ends with. */
export class Failure extends Error {
  constructor(readonly exit: Exit, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** What a command touches of the world. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Writes to standard output. */
  readonly out: (text: string) => void;
  /** Writes to standard error. */
  readonly err: (text: string) => void;
  /** Whether standard error is a terminal: somebody sees what is said meanwhile. */
  readonly lookedOn?: boolean;
  /** Takes the terminal for itself; absent unless standard input and output are one. */
  readonly openScreen?: () => Screen;
}

/** One command of the command line, whatever its flags are. */
export interface Command {
  readonly name: string;
  /** For the list of commands. */
  readonly summary: string;
  readonly flags: Flags;
  /** What the first argument can be where it is one of a few. */
  readonly words: readonly string[];
  readonly help: string;
  readonly run: (args: readonly string[], io: Io) => Promise<Exit>;
}

interface CommandSpec<F extends Flags> {
  readonly name: string;
  readonly summary: string;
  /** The arguments as `--help` shows them, between the command's name and its flags. */
  readonly args?: string;
  readonly about?: string;
  readonly words?: readonly string[];
  readonly flags: F;
  readonly example: string;
  readonly run: (given: { settings: Settings<F>; args: readonly string[] }, io: Io) => Promise<Exit>;
}

/** Makes a command that reads its flags, answers `--help`, and reports wrong usage in the form that all share. */
export function command<F extends Flags>(spec: CommandSpec<F>): Command {
  const { name, summary, args = "", about, words = [], flags, example } = spec;
  const usage = `Usage: ./portolan ${[name, args, "[flags]"].filter(Boolean).join(" ")}`;
  const help = `${summary}\n\n${usage}\n${about ? `\n${about}\n` : ""}\n${
    describeFlags({ ...flags, help: { hint: "", help: "This text", parse: () => undefined } })
  }\nExample: ${example}\n`;
  return {
    name,
    summary,
    flags,
    words,
    help,
    run(given, io) {
      const loaded = loadSettings(flags, { args: given, env: io.env });
      if (loaded.kind === "help") return io.out(help), Promise.resolve(EXIT.done);
      if (loaded.kind === "problems") throw new Failure(EXIT.usage, loaded.problems.join("; "));
      return spec.run({ settings: loaded.settings, args: loaded.positionals }, io);
    },
  };
}

/** The arguments, of which there must be between `least` and `most`; `names` are what they are called. */
export function expectArgs(args: readonly string[], names: string, least: number, most = least): readonly string[] {
  if (args.length < least) throw new Failure(EXIT.usage, `expected ${names}`);
  if (args.length > most) throw new Failure(EXIT.usage, `unexpected argument "${args[most]}": expected ${names}`);
  return args;
}

import { flagName } from "../proto/settings.ts";
import { type Command, command, EXIT, expectArgs, Failure } from "./command.ts";

/** What completion and help know of a command. */
export type Listed = Pick<Command, "name" | "summary" | "flags" | "words">;

/** A command that prints what a shell needs to complete the others. */
export function completionOf(commands: () => readonly Listed[]): Command {
  return command({
    name: "completion",
    summary: "Prints a script that completes commands and flags in your shell",
    args: "bash|zsh|fish",
    words: Object.keys(SCRIPTS),
    flags: {},
    example: "source <(./portolan completion bash)",
    run({ args }, { out }) {
      const [shell = ""] = expectArgs(args, "bash, zsh or fish", 1);
      const script = SCRIPTS[shell];
      if (!script) throw new Failure(EXIT.usage, `argument "${shell}": expected bash, zsh or fish`);
      out(script(commands().map(entryOf)));
      return Promise.resolve(EXIT.done);
    },
  });
}

interface Entry {
  readonly name: string;
  readonly summary: string;
  /** What can be its first argument. */
  readonly words: readonly string[];
  readonly flags: readonly string[];
}

function entryOf({ name, summary, flags, words }: Listed): Entry {
  return { name, summary, words, flags: [...Object.keys(flags).map((key) => `--${flagName(key)}`), "--help"] };
}

const SCRIPTS: Readonly<Record<string, (entries: readonly Entry[]) => string>> = { bash, zsh, fish };

function bash(entries: readonly Entry[]): string {
  return `_portolan() {
  local words
  if [ "$COMP_CWORD" = 1 ]; then
    words="${entries.map(({ name }) => name).join(" ")} --help --version"
  else
    case \${COMP_WORDS[1]} in
${entries.map(({ name, words, flags }) => `      ${name}) words="${[...words, ...flags].join(" ")}" ;;`).join("\n")}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _portolan portolan ./portolan
`;
}

function zsh(entries: readonly Entry[]): string {
  return `#compdef portolan
_portolan() {
  local -a commands
  commands=(
${entries.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`).join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case $words[2] in
${entries.map(({ name, words, flags }) => `    ${name}) compadd -- ${[...words, ...flags].join(" ")} ;;`).join("\n")}
  esac
  _files
}
compdef _portolan portolan ./portolan
`;
}

function fish(entries: readonly Entry[]): string {
  const names = entries.flatMap(({ name, summary }) => [
    `complete -c portolan -n __fish_use_subcommand -f -a ${name} -d ${quoted(summary)}`,
  ]);
  const more = entries.flatMap(({ name, words, flags }) => {
    const after = `complete -c portolan -n '__fish_seen_subcommand_from ${name}'`;
    return [...words.map((word) => `${after} -a ${word}`), ...flags.map((flag) => `${after} -l ${flag.slice(2)}`)];
  });
  return [...names, ...more].join("\n") + "\n";
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

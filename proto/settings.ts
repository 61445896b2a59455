/**
 * Settings of programs and commands: from flags, the environment, a file, defaults, in this order.
 * Everything that is wrong is reported at once.
 */
import { isIPv4 } from "node:net";
import { parseArgs } from "node:util";
import { hostProblem, nameProblem } from "./names.ts";

/** What is wrong with a value: follows `--flag "value": `. */
export class Problem {
  constructor(readonly text: string) {}
}

/** One setting. `parse` gets `undefined` when nobody says anything and there is no `fallback`. */
export interface Flag<T> {
  /** What stands for the value in `--help`; empty for a switch, which takes none. */
  readonly hint: string;
  readonly help: string;
  readonly env?: string;
  readonly fallback?: string;
  /** May be given again: `parse` gets all of it, one a line. */
  readonly many?: true;
  readonly parse: (text: string | undefined) => T | Problem;
}

/** Settings by their name in code: `hostId` is the flag `--host-id`. */
export type Flags = Readonly<Record<string, Flag<unknown>>>;
export type Settings<F extends Flags> = { readonly [K in keyof F]: F[K] extends Flag<infer T> ? T : never };

/** Where values come from beside the arguments. */
export interface Sources {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly readFile?: (path: string) => string;
}

type Loaded<F extends Flags> =
  | { readonly kind: "settings"; readonly settings: Settings<F>; readonly positionals: readonly string[] }
  | { readonly kind: "help" }
  | { readonly kind: "problems"; readonly problems: readonly string[] };

/** Reads settings. With `readFile`, `--config FILE` names a JSON object whose keys are flags without the leading `--`. */
export function loadSettings<F extends Flags>(flags: F, { args, env, readFile }: Sources): Loaded<F> {
  const problems: string[] = [];
  const options = Object.fromEntries(
    Object.entries(flags).map(([key, flag]) => {
      return [flagName(key), { type: flag.hint ? "string" : "boolean", multiple: flag.many ?? false } as const];
    }),
  );
  const extra = {
    help: { type: "boolean", short: "h" } as const,
    ...(readFile && { config: { type: "string" } as const }),
  };
  const known = { ...options, ...extra };
  // Not strict: Node's own check throws at the first problem.
  const parsed = parseArgs({ args: [...args], options: known, allowPositionals: true, strict: false, tokens: true });
  const given: Record<string, unknown> = { ...parsed.values };
  if (given["help"] === true) return { kind: "help" };
  const malformed = new Set<string>();
  for (const token of parsed.tokens) {
    if (token.kind !== "option") continue;
    const problem = formProblem(token, known);
    if (problem === undefined) continue;
    problems.push(problem);
    malformed.add(token.name);
  }
  const file = readFile && typeof given["config"] === "string"
    ? fromFile(given["config"], readFile, options, problems)
    : {};

  const settings: Record<string, unknown> = {};
  for (const [key, flag] of Object.entries(flags)) {
    const name = flagName(key);
    if (malformed.has(name)) continue;
    const text = asText(given[name]) ?? (flag.env && env[flag.env] || undefined) ?? asText(file[name]) ?? flag.fallback;
    const value = flag.parse(text);
    if (value instanceof Problem) problems.push(`--${name}${text === undefined ? "" : ` "${text}"`}: ${value.text}`);
    settings[key] = value;
  }
  if (problems.length > 0) return { kind: "problems", problems };
  return { kind: "settings", settings: settings as Settings<F>, positionals: parsed.positionals };
}

/** The flags as `--help` shows them, one a line. */
export function describeFlags(flags: Readonly<Record<string, Described>>): string {
  const rows = Object.entries(flags).map(([key, flag]) => {
    const notes = [flag.fallback && `default ${flag.fallback}`, flag.env].filter(Boolean).join(", ");
    return [`--${flagName(key)} ${flag.hint}`.trimEnd(), notes ? `${flag.help} (${notes})` : flag.help] as const;
  });
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}\n`).join("");
}

type Described = Pick<Flags[string], "hint" | "help" | "env" | "fallback">;

/** What every server takes beside its own flags, for {@link describeFlags}. */
export const COMMON: Readonly<Record<string, Described>> = {
  config: { hint: "FILE", help: "Settings as a JSON object, keys as flags without the leading hyphens: host-id" },
  help: { hint: "", help: "This text" },
};

/** `hostId` as it is written: `host-id`. */
export function flagName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

type Option = { readonly type: "string" | "boolean" };
interface OptionToken {
  readonly kind: "option";
  readonly name: string;
  readonly rawName: string;
  readonly value: string | undefined;
  readonly inlineValue: boolean | undefined;
}

/** What is wrong with how an option is written, in Node's words. */
function formProblem(token: OptionToken, known: Readonly<Record<string, Option>>): string | undefined {
  const { name, rawName, value, inlineValue } = token;
  if (!Object.hasOwn(known, name)) return `Unknown option '${rawName}'`;
  if (known[name]?.type === "boolean") {
    return value === undefined ? undefined : `Option '${rawName}' does not take an argument`;
  }
  if (value === undefined) return `Option '${rawName} <value>' argument missing`;
  // More likely the next option than a value.
  if (!inlineValue && /^-./.test(value)) {
    return `Option '${rawName}' argument is ambiguous: write '${rawName}=${value}'`;
  }
  return undefined;
}

function asText(value: unknown): string | undefined {
  if (Array.isArray(value)) return value.join("\n");
  return value === undefined ? undefined : String(value);
}

function fromFile(path: string, readFile: (path: string) => string, known: object, problems: string[]) {
  try {
    const file = JSON.parse(readFile(path));
    if (typeof file !== "object" || file === null || Array.isArray(file)) throw new Error("expected a JSON object");
    for (const name of Object.keys(file)) {
      if (!Object.hasOwn(known, name)) problems.push(`--config "${path}": unknown setting "${name}"`);
    }
    return file as Record<string, unknown>;
  } catch (error) {
    problems.push(`--config "${path}": ${(error as Error).message}`);
    return {};
  }
}

const required = new Problem("is required");

/** Any text but none. */
export const text = (value: string | undefined): string | Problem => value ? value : required;

/** `parse`, or `undefined` where nobody says anything. */
export function optional<T>(parse: (text: string | undefined) => T | Problem) {
  return (value: string | undefined): T | undefined | Problem => value === undefined ? undefined : parse(value);
}

/** Values with commas between them, or an array in a file; nothing is an empty list. */
export function list<T>(parse: (text: string | undefined) => T | Problem) {
  return (value: string | undefined): readonly T[] | Problem => {
    const values = (value ?? "").split(/[,\n]/).filter(Boolean).map(parse);
    return values.find((one) => one instanceof Problem) ?? values as T[];
  };
}

export function flag(value: string | undefined): boolean | Problem {
  if (value === undefined || value === "false") return false;
  return value === "true" ? true : new Problem("expected true or false");
}

/** A name of the contract's grammar. */
export function name(value: string | undefined): string | Problem {
  if (value === undefined) return required;
  const problem = nameProblem(value);
  return problem === undefined ? value : new Problem(problem);
}

/** A whole number in [least, most]. */
export function integer(least: number, most: number) {
  return (value: string | undefined): number | Problem => {
    if (value === undefined) return required;
    const number = /^[0-9]{1,15}$/.test(value) ? Number(value) : NaN;
    return number >= least && number <= most ? number : new Problem(`expected a whole number from ${least} to ${most}`);
  };
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** `host:port`, an IPv6 address in brackets; port 0 lets the system choose. */
export function address(value: string | undefined): Address | Problem {
  if (value === undefined) return required;
  const match = /^(?:\[([^\]]+)\]|([^:]+)):([0-9]{1,5})$/.exec(value);
  const host = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3]);
  if (!match || port > 65535) return new Problem("expected HOST:PORT");
  const problem = /^(?:0\.0\.0\.0|::)$/.test(host) ? undefined : hostProblem(host);
  return problem === undefined ? { host, port } : new Problem(problem);
}

/** An address as it is written. */
export function formatAddress({ host, port }: Address): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** How programs of this machine reach a listener that may be on all interfaces. */
export function reachable({ host, port }: Address): string {
  const local: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "::1" };
  return formatAddress({ host: local[host] ?? host, port });
}

/** Whether only programs of this machine reach it. */
export function isLoopback({ host }: Address): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

/** A file of the services folder: what it may say, and everything that is wrong with one. */
import { CHECK_RANGES, DEFAULT_CHECK, MAX_CHECK_PATH, MAX_METADATA_BYTES, WEIGHT_RANGE } from "../../proto/limits.ts";
import { hostProblem, MAX_VERSION, nameProblem } from "../../proto/names.ts";
import { Problem } from "../../proto/settings.ts";
import type { Check, CheckKind } from "./check.ts";

/** What a file says of an instance; what is not there is the sidecar's to say. */
export interface ServiceFile {
  readonly service: string;
  readonly id: string;
  readonly port: number;
  readonly version: number;
  readonly weight: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly host?: string;
  readonly zone?: string;
  readonly check?: Check;
  /** From the drain to the removal, in ms. */
  readonly drainMs: number;
}

export type Decoded =
  | { readonly kind: "file"; readonly file: ServiceFile }
  /** Fields, values, and what is expected of them. */
  | { readonly kind: "bad"; readonly reason: string };

/** Of a file. */
export const MOST_BYTES = 64 * 1024;
export const SUFFIX = ".json";
const EXAMPLE = '{"service":"identity","port":8080}';
const DEFAULT_DRAIN_MS = 5_000;
const HOUR_MS = 3_600_000;

/** Total: whatever the bytes are, they are a file or bad. `name` is the file's, which gives the id that it does not say. */
export function decodeServiceFile(name: string, bytes: Uint8Array): Decoded {
  if (bytes.length > MOST_BYTES) return bad(`expected at most ${MOST_BYTES} bytes`);
  let json: unknown;
  try {
    json = JSON.parse(utf8.decode(bytes));
  } catch (error) {
    const why = error instanceof TypeError ? "it is not UTF-8" : (error as Error).message;
    return bad(`expected JSON, as in ${EXAMPLE}: ${why}`);
  }
  if (!isObject(json)) return bad(`${shown(json)}: expected an object, as in ${EXAMPLE}`);
  const fields = new Fields(json, FIELDS, "");
  const idOfName = name.slice(0, -SUFFIX.length);
  const said = {
    service: fields.need("service", named),
    id: fields.take("id", named) ?? idOfName,
    port: fields.need("port", whole(1, 65_535)),
    version: fields.take("version", whole(1, MAX_VERSION)) ?? 1,
    weight: fields.take("weight", whole(...WEIGHT_RANGE)) ?? 100,
    metadata: fields.take("metadata", metadata) ?? {},
    host: fields.take("host", worded(hostProblem)),
    zone: fields.take("zone", named),
    check: fields.inner("check", checkSaid),
    drainMs: fields.take("drainTime", lasting(0, HOUR_MS)) ?? DEFAULT_DRAIN_MS,
  };
  const idProblem = json["id"] === undefined || json["id"] === null ? nameProblem(idOfName) : undefined;
  if (idProblem) fields.add(`"id" is not there, and the file's name gives ${shown(idOfName)}: ${idProblem}`);
  const { service, port, host, zone, check, ...rest } = said;
  if (fields.problems.length > 0 || service === undefined || port === undefined) return bad(fields.problems.join("; "));
  return {
    kind: "file",
    file: { service, port, ...rest, ...(host && { host }), ...(zone && { zone }), ...(check && { check }) },
  };
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

const FIELDS = ["service", "port", "version", "id", "host", "weight", "zone", "metadata", "check", "drainTime"];
const CHECK_FIELDS = ["kind", "path", "interval", "rise", "fall"];

function checkSaid(fields: Fields): Check {
  const kind = fields.take("kind", kindNamed) ?? DEFAULT_CHECK.kind;
  const path = fields.take("path", visible);
  if (path !== undefined && kind !== "HTTP") {
    fields.add(`"check.path" ${shown(path)}: expected with "kind":"HTTP" only, not with ${kind}`);
  }
  return {
    kind,
    path: path ?? DEFAULT_CHECK.path,
    intervalMs: fields.take("interval", lasting(...CHECK_RANGES.intervalMs)) ?? DEFAULT_CHECK.intervalMs,
    rise: fields.take("rise", whole(...CHECK_RANGES.rise)) ?? DEFAULT_CHECK.rise,
    fall: fields.take("fall", whole(...CHECK_RANGES.fall)) ?? DEFAULT_CHECK.fall,
  };
}

type Parse<T> = (value: unknown) => T | Problem;

/** The members of one object. As in the contract's JSON, null is the same as leaving a field out. */
class Fields {
  readonly problems: string[];
  readonly #object: Readonly<Record<string, unknown>>;
  readonly #path: string;

  constructor(
    object: Readonly<Record<string, unknown>>,
    known: readonly string[],
    path: string,
    problems: string[] = [],
  ) {
    this.#object = object;
    this.#path = path;
    this.problems = problems;
    for (const name of Object.keys(object)) {
      if (known.includes(name)) continue;
      this.add(`${shown(path + name)} ${shown(object[name])}: unknown field, expected one of ${known.join(", ")}`);
    }
  }

  add(problem: string): void {
    this.problems.push(problem);
  }

  take<T>(name: string, parse: Parse<T>): T | undefined {
    const value = this.#value(name);
    if (value === undefined) return undefined;
    const parsed = parse(value);
    if (!(parsed instanceof Problem)) return parsed;
    this.add(`${shown(this.#path + name)} ${shown(value)}: ${parsed.text}`);
    return undefined;
  }

  need<T>(name: string, parse: Parse<T>): T | undefined {
    if (this.#value(name) === undefined) this.add(`${shown(this.#path + name)} is required, as in ${EXAMPLE}`);
    return this.take(name, parse);
  }

  inner<T>(name: string, read: (fields: Fields) => T): T | undefined {
    const value = this.take(name, (value) => isObject(value) ? value : new Problem("expected an object"));
    return value && read(new Fields(value, CHECK_FIELDS, `${this.#path}${name}.`, this.problems));
  }

  #value(name: string): unknown {
    return Object.hasOwn(this.#object, name) ? this.#object[name] ?? undefined : undefined;
  }
}

function worded(problemOf: (text: string) => string | undefined): Parse<string> {
  return (value) => {
    if (typeof value !== "string") return new Problem("expected a text");
    const problem = problemOf(value);
    return problem === undefined ? value : new Problem(problem);
  };
}

const named = worded(nameProblem);

const visible = worded((text) =>
  /^\/[\x21-\x7e]*$/.test(text) && text.length <= MAX_CHECK_PATH
    ? undefined
    : `expected a slash and at most ${MAX_CHECK_PATH} visible ASCII characters`
);

function whole(least: number, most: number): Parse<number> {
  return (value) =>
    typeof value === "number" && Number.isInteger(value) && value >= least && value <= most
      ? value
      : new Problem(`expected a whole number from ${least} to ${most}`);
}

function kindNamed(value: unknown): CheckKind | Problem {
  return KINDS.find((kind) => kind === value) ?? new Problem(`expected one of ${KINDS.join(", ")}`);
}

const KINDS: readonly CheckKind[] = ["TCP", "HTTP", "GRPC"];

/** Whole ms. */
function lasting(leastMs: number, mostMs: number): Parse<number> {
  return (value) => {
    const [, number, unit = ""] = typeof value === "string" ? DURATION.exec(value) ?? [] : [];
    const ms = Math.round(Number(number) * (UNITS_MS[unit] ?? NaN));
    if (ms >= leastMs && ms <= mostMs) return ms;
    return new Problem(`expected a duration from ${leastMs}ms to ${mostMs / HOUR_MS}h, as in "2s" or "500ms"`);
  };
}

const DURATION = /^([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)$/;
const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: HOUR_MS };

function metadata(value: unknown): Readonly<Record<string, string>> | Problem {
  if (!isObject(value)) return new Problem("expected an object");
  let bytes = 0;
  const texts: [string, string][] = [];
  for (const [key, one] of Object.entries(value)) {
    if (typeof one !== "string") return new Problem(`expected a text under ${shown(key)}`);
    if (!key.isWellFormed() || !one.isWellFormed()) return new Problem("expected text that is valid Unicode");
    bytes += encoder.encode(key).length + encoder.encode(one).length;
    texts.push([key, one]);
  }
  if (bytes > MAX_METADATA_BYTES) {
    return new Problem(`expected keys and values of at most ${MAX_METADATA_BYTES} bytes together, not ${bytes}`);
  }
  return Object.fromEntries(texts);
}

const encoder = new TextEncoder();

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const MOST_SHOWN = 80;

/** A value as it stands in the file, the beginning of a long one. */
function shown(value: unknown): string {
  // Lists within lists within lists can be read deeper than they can be written.
  const text = typeof value === "object" && value !== null ? outline(value) : JSON.stringify(value);
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}…` : text;
}

function outline(value: object): string {
  return Array.isArray(value) ? "[…]" : `{${Object.keys(value).map((key) => JSON.stringify(key)).join()}}`;
}

function bad(reason: string): Decoded {
  return { kind: "bad", reason };
}

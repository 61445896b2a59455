/** JSON bodies as messages of the contract, checked by the message's descriptor so that every bad field has a name. */
import {
  type DescEnum,
  type DescField,
  type DescMessage,
  fromJson,
  type JsonValue,
  type MessageShape,
  ScalarType,
} from "@bufbuild/protobuf";
import { invalid, type Refusal, type Violation } from "../domain/refusal.ts";

/** The message that `bytes` spell, or everything that is wrong with them. Strict: unknown fields are refused. */
export function parseJson<M extends DescMessage>(schema: M, bytes: Uint8Array): MessageShape<M> | Refusal {
  const { deep, names } = outlineOf(bytes);
  if (deep) return invalid([{ field: "body", description: `expected at most ${MOST_LEVELS} levels` }]);
  let text: string;
  let json: unknown;
  try {
    text = utf8.decode(bytes);
    json = JSON.parse(text);
  } catch {
    return invalid([{ field: "body", description: "expected a JSON object in UTF-8" }]);
  }
  // Parsers keep one of the values of a name that occurs twice, and say nothing.
  if (namesIn(json) < names) return invalid([{ field: nameTwice(text) ?? "body", description: TWICE }]);
  const violations = checkMessage(schema, json, "");
  if (violations.length > 0) return invalid(violations);
  return fromJson(schema, json as JsonValue);
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Objects and lists within each other: twice as many as the deepest message has. */
const MOST_LEVELS = 16;

/**
 * Whether a JSON text is nested too deep, and how many names of members it holds. Parsers take long for what is nested as
 * deep as it is long; here it is found before they begin.
 */
function outlineOf(bytes: Uint8Array): { readonly deep: boolean; readonly names: number } {
  let level = 0;
  let names = 0;
  let inText = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === BACKSLASH) at++;
    else if (byte === QUOTE) inText = !inText;
    else if (inText) continue;
    else if (byte === COLON) names++;
    else if (byte === 0x7b || byte === 0x5b) level++;
    else if (byte === 0x7d || byte === 0x5d) level--;
    if (level > MOST_LEVELS) return { deep: true, names };
  }
  return { deep: false, names };
}

/** How many names of members a value of JSON holds, on all levels. */
function namesIn(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const inner = Object.values(value);
  return inner.reduce((sum, one) => sum + namesIn(one), Array.isArray(value) ? 0 : inner.length);
}

const QUOTE = 0x22;
const COLON = 0x3a;
const BACKSLASH = 0x5c;

const TWICE = "expected once: it cannot be told which one counts";

/** The first name that occurs twice in one object of a JSON text. */
function nameTwice(text: string): string | undefined {
  const open: Set<string>[] = [];
  for (const [token, name, colon] of text.matchAll(/("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}]/g)) {
    if (token === "{") open.push(new Set());
    else if (token === "}") open.pop();
    else if (name !== undefined && colon !== undefined) {
      const unescaped: string = JSON.parse(name);
      if (open.at(-1)?.has(unescaped)) return unescaped;
      open.at(-1)?.add(unescaped);
    }
  }
  return undefined;
}

type Check = readonly Violation[];

const GOOD: Check = [];

function checkMessage(schema: DescMessage, value: unknown, path: string): Check {
  if (schema.typeName === "google.protobuf.Duration") {
    const good = typeof value === "string" && /^-?[0-9]{1,12}(\.[0-9]{1,9})?s$/.test(value) &&
      Math.abs(parseFloat(value)) <= MOST_SECONDS;
    return good ? GOOD : bad(path, 'expected a duration in seconds, like "15s"');
  }
  if (!isObject(value)) return bad(path, "expected an object");
  const seen = new Set<DescField>();
  return Object.entries(value).flatMap(([key, inner]) => {
    const field = schema.fields.find(({ jsonName, name }) => key === jsonName || key === name);
    const inside = path === "" ? key : `${path}.${key}`;
    if (!field) return bad(inside, "unknown field");
    // A field has two spellings.
    if (seen.has(field)) return bad(inside, TWICE);
    seen.add(field);
    // In the contract's JSON, null is the same as leaving a field out.
    return inner === null ? GOOD : checkField(field, inner, inside);
  });
}

/** Of a duration, as its message in the contract has it: ten thousand years. */
const MOST_SECONDS = 315_576_000_000;

function checkField(field: DescField, value: unknown, path: string): Check {
  switch (field.fieldKind) {
    case "message":
      return checkMessage(field.message, value, path);
    case "enum":
      return checkEnum(field.enum, value, path);
    case "scalar":
      return checkScalar(field.scalar, value, path);
    case "list": {
      if (!Array.isArray(value)) return bad(path, "expected a list");
      return value.flatMap((item, i) => checkItem(field, item, `${path}[${i}]`));
    }
    case "map": {
      if (!isObject(value)) return bad(path, "expected an object");
      return Object.entries(value).flatMap(([key, item]) => {
        const inside = `${path}.${key}`;
        return checkText(key, path) ?? checkItem(field, item, inside);
      });
    }
  }
}

function checkItem(field: DescField & { fieldKind: "list" | "map" }, value: unknown, path: string): Check {
  if (field.message) return checkMessage(field.message, value, path);
  if (field.enum) return checkEnum(field.enum, value, path);
  return checkScalar(field.scalar ?? ScalarType.STRING, value, path);
}

function checkEnum(schema: DescEnum, value: unknown, path: string): Check {
  const words = schema.values.map(({ name }) => name);
  return words.includes(value as string) ? GOOD : bad(path, `expected one of ${words.join(", ")}`);
}

function checkScalar(type: ScalarType, value: unknown, path: string): Check {
  switch (type) {
    case ScalarType.STRING:
      return typeof value === "string" ? checkText(value, path) ?? GOOD : bad(path, "expected a text");
    case ScalarType.BOOL:
      return typeof value === "boolean" ? GOOD : bad(path, "expected true or false");
    case ScalarType.UINT32:
      return isWhole(value, 0xffff_ffff) ? GOOD : bad(path, "expected a whole number");
    case ScalarType.UINT64:
      return isWhole(value, Number.MAX_SAFE_INTEGER) || /^[0-9]{1,19}$/.test(String(value))
        ? GOOD
        : bad(path, "expected a whole number");
    default:
      throw new Error(`Cannot check a field of scalar type ${ScalarType[type]}: no message of the contract has one`);
  }
}

function checkText(text: string, path: string): Check | undefined {
  return text.isWellFormed() ? undefined : bad(path, "expected text that is valid Unicode");
}

function isWhole(value: unknown, most: number): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function bad(path: string, description: string): Check {
  return [{ field: path === "" ? "body" : path, description }];
}

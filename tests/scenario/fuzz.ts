/** Chance that can be repeated, and what it makes: names, JSON and bytes that are almost right. */

/** The same seed gives the same choices. */
export class Chance {
  constructor(private state: number) {}

  /** A whole number in [0, below). */
  below(limit: number): number {
    // mulberry32: 32 bits of state are plenty for choices of this kind.
    this.state = (this.state + 0x6d2b79f5) | 0;
    let bits = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return Math.floor(((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32 * limit);
  }

  /** True one time in `n`. */
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }
}

const LETTERS = [..."abcdefghijklmnopqrstuvwxyz0123456789-"];
const STRANGE = [
  ...".:/\\%?#&=+;,@!$'\"`*()[]{}<>|^~_ ABZ\t\n\r\0\x7f\x1b\u0080éñßıＡａ１аЕ漢🙂\u202e\u200b\u2028\ufeff\ufffd",
  "..",
  "%00",
  "%2f",
  "%zz",
  "${x}",
  "a".repeat(60),
  "__proto__",
  "constructor",
];
const WORDS = ["", "a", "identity", "live", "v1", "v0", "v", "-", "--", "a-", "-a", "a--b", "xn--a", "localhost", "0"];

/** A text that might be a name: often it is one. */
export function anyName(chance: Chance): string {
  if (chance.oneIn(8)) return chance.pick(WORDS);
  const length = chance.oneIn(6) ? 55 + chance.below(15) : 1 + chance.below(12);
  let name = "";
  while (name.length < length) name += chance.oneIn(40) ? chance.pick(STRANGE) : chance.pick(LETTERS);
  return name;
}

const HOSTS = [
  "127.0.0.1",
  "::1",
  "a.example",
  "10.0.0.256",
  "0.0.0.0",
  "fe80::1%eth0",
  "[::1]",
  "1.2.3",
  "a..b",
  "0x7f",
];
const NUMBERS = [0, -0, 1, 2, 255, 256, 257, 9_999, 10_000, 10_001, 65_535, 65_536, 0xffff_ffff, 2 ** 32, 2 ** 53, -1];
const VALUES = [null, true, false, [], {}, "", "15s", "1.5", 0.5, 1e-7, 1e21, [[]], [{}], { a: 1 }, "\ud800", "\0"];

/** Any leaf of JSON. */
export function anyValue(chance: Chance): unknown {
  switch (chance.below(4)) {
    case 0:
      return chance.pick(NUMBERS);
    case 1:
      return chance.pick(HOSTS);
    case 2:
      return anyName(chance);
    default:
      return structuredClone(chance.pick(VALUES));
  }
}

type Tree = Record<string, unknown> | unknown[];

/** Changes a JSON value somewhere within: a leaf, a name, what holds what. The value itself is changed. */
export function mutateJson(chance: Chance, root: Tree): void {
  const [parent, key] = chance.pick(placesIn(root));
  const at = parent as Record<string, unknown>;
  const value = at[key];
  switch (chance.below(9)) {
    case 0:
    case 1:
    case 2:
      setOwn(at, key, anyValue(chance));
      break;
    case 3:
      if (typeof value === "number") setOwn(at, key, value + chance.pick([-1, 1, 0.5, 1e10]));
      else if (typeof value === "string") setOwn(at, key, value + chance.pick(STRANGE));
      break;
    case 4:
      Array.isArray(parent) ? parent.splice(Number(key), 1) : delete at[key];
      break;
    case 5:
      Array.isArray(parent) ? parent.push(structuredClone(value)) : setOwn(at, anyKey(chance, key), value);
      break;
    case 6:
      setOwn(at, key, chance.oneIn(2) ? [value] : { [key]: value });
      break;
    case 7:
      if (Array.isArray(parent)) parent.reverse();
      else delete at[key], setOwn(at, anyKey(chance, key), value);
      break;
    case 8:
      setOwn(at, key, nested(chance.below(300), value));
  }
}

/** Everywhere in a tree where a value stands; never empty. */
function placesIn(root: Tree): [Tree, string][] {
  const places = Object.keys(root).map((key): [Tree, string] => [root, key]);
  for (const [parent, key] of [...places]) {
    const inner = (parent as Record<string, unknown>)[key];
    if (typeof inner === "object" && inner !== null) places.push(...placesIn(inner as Tree));
  }
  return places.length > 0 ? places : [[root, Array.isArray(root) ? "0" : "new"]];
}

function anyKey(chance: Chance, key: string): string {
  const variants = [
    key.toUpperCase(),
    `${key} `,
    `${key}s`,
    key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
  ];
  return chance.pick([...variants, "__proto__", "constructor", "toString", "$unknown", "$typeName", "", "0"]);
}

// An assignment to `__proto__` would not make an entry.
function setOwn(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
}

function nested(depth: number, value: unknown): unknown {
  let outer = value;
  for (let i = 0; i < depth; i++) outer = i % 2 === 0 ? [outer] : { a: outer };
  return outer;
}

/** Bytes with some of them changed, gone, repeated or new. */
export function mutateBytes(chance: Chance, bytes: Uint8Array): Uint8Array {
  const out = [...bytes];
  for (let times = 1 + chance.below(3); times > 0; times--) {
    const at = chance.below(out.length + 1);
    const some = 1 + chance.below(8);
    switch (chance.below(6)) {
      case 0:
        out[at] = chance.below(256);
        break;
      case 1:
        out[at] = (out[at] ?? 0) ^ (1 << chance.below(8));
        break;
      case 2:
        out.splice(at, some);
        break;
      case 3:
        out.splice(at, 0, ...Array.from({ length: some }, () => chance.below(256)));
        break;
      case 4:
        out.splice(at, 0, ...out.slice(at, at + 4 * some));
        break;
      case 5:
        out.length = at;
    }
  }
  return Uint8Array.from(out, (byte) => byte ?? 0);
}

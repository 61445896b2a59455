/** What is asked for of a store: all keys under some prefixes. */
import { byBytes } from "./byte_order.ts";

/** One prefix, or several of which none begins another. */
export class Prefixes {
  readonly inOrder: readonly string[];
  /** All of them begin so. */
  readonly common: string;
  readonly #all: ReadonlySet<string>;
  readonly #lengths: readonly number[];

  constructor(prefix: string | readonly string[]) {
    this.#all = new Set(typeof prefix === "string" ? [prefix] : prefix);
    this.#lengths = [...new Set([...this.#all].map(({ length }) => length))];
    this.inOrder = [...this.#all].sort(byBytes);
    this.common = commonStart(this.inOrder.at(0) ?? "", this.inOrder.at(-1) ?? "");
  }

  /** Whether a key is under one of them: as fast for thousands as there are lengths of them. */
  begin(key: string): boolean {
    return this.#lengths.some((length) => this.#all.has(key.slice(0, length)));
  }
}

function commonStart(a: string, b: string): string {
  let end = 0;
  while (end < a.length && a[end] === b[end]) end++;
  // Half a character is none.
  return a.slice(0, end).replace(/[\ud800-\udbff]$/, "");
}

/** Reads Prometheus' text format, version 0.0.4, and forgives nothing. */

export interface Series {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export class Exposition {
  readonly #types = new Map<string, string>();
  readonly #series = new Map<string, Series>();

  /** Throws on the first line that is not as the format, or promtool's rules, want it. */
  constructor(text: string) {
    if (!text.endsWith("\n")) throw new Error("Cannot read metrics: expected a newline at the end");
    let family = "";
    let helped = "";
    const over = new Set<string>();
    for (const line of text.slice(0, -1).split("\n")) {
      const fail = (why: string) => new Error(`Cannot read "${line}": ${why}`);
      const [, keyword, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
      if (keyword === "HELP") {
        if (!NAME.test(name)) throw fail("expected a name");
        if (!/^(?:[^\\]|\\[\\n])*$/.test(rest)) throw fail("expected no other escape than \\\\ and \\n");
        helped = name;
      } else if (keyword === "TYPE") {
        if (helped !== name) throw fail("expected its help before it");
        if (!["counter", "gauge", "histogram"].includes(rest)) throw fail("expected a known type");
        if (over.has(name) || family === name) throw fail("expected each name once");
        if ((rest === "counter") !== name.endsWith("_total")) throw fail("expected counters alone to end in _total");
        over.add(family);
        family = name;
        this.#types.set(name, rest);
      } else {
        const series = parseSeries(line);
        if (!series) throw fail("expected a series with its value");
        const plain = this.#types.get(family) === "histogram"
          ? series.name.replace(/_(bucket|sum|count)$/, "")
          : series.name;
        if (plain !== family) throw fail(`expected a series of ${family}`);
        const key = keyOf(series);
        if (this.#series.has(key)) throw fail("expected each series once");
        this.#series.set(key, series);
      }
    }
    for (const [name, type] of this.#types) if (type === "histogram") this.#checkHistogram(name);
  }

  /** A series' value; `undefined` where there is none. */
  readonly value = (name: string, labels: Readonly<Record<string, string>> = {}): number | undefined =>
    this.#series.get(keyOf({ name, labels }))?.value;

  /** All series of a name. */
  all(name: string): readonly Series[] {
    return [...this.#series.values()].filter((series) => series.name === name);
  }

  names(): readonly string[] {
    return [...this.#types.keys()];
  }

  #checkHistogram(name: string): void {
    const apart = new Map<string, { labels: Series["labels"]; buckets: Series[] }>();
    for (const series of this.all(`${name}_bucket`)) {
      const { le: _, ...labels } = series.labels;
      const key = keyOf({ name, labels });
      apart.set(key, { labels, buckets: [...apart.get(key)?.buckets ?? [], series] });
    }
    for (const { labels, buckets } of apart.values()) this.#checkBuckets(name, labels, buckets);
    for (const part of ["sum", "count"]) {
      if (this.all(`${name}_${part}`).length !== apart.size) {
        throw new Error(`Cannot read ${name}: expected buckets, a sum and a count of each series`);
      }
    }
  }

  #checkBuckets(name: string, labels: Series["labels"], buckets: readonly Series[]): void {
    let [bound, count] = [-Infinity, 0];
    for (const { labels, value } of buckets) {
      const next = parseNumber(labels["le"] ?? "");
      if (!(next > bound)) throw new Error(`Cannot read ${name}: expected rising bounds`);
      if (value < count) throw new Error(`Cannot read ${name}: expected buckets that hold those before them`);
      [bound, count] = [next, value];
    }
    if (bound !== Infinity) throw new Error(`Cannot read ${name}: expected a last bucket for everything`);
    if (this.value(`${name}_count`, labels) !== count) {
      throw new Error(`Cannot read ${name}: expected _count as in +Inf`);
    }
    if (!((this.value(`${name}_sum`, labels) ?? NaN) >= 0)) throw new Error(`Cannot read ${name}: expected a sum`);
  }
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"/;
const SERIES = new RegExp(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\\{(${LABEL.source}(?:,${LABEL.source})*)\\})? (\\S+)$`);

function parseSeries(line: string): Series | undefined {
  const match = SERIES.exec(line);
  if (!match) return undefined;
  const pairs = [...(match[2] ?? "").matchAll(new RegExp(LABEL, "g"))].map(([, label = "", text = ""]) =>
    [label, text.replace(/\\(.)/g, (_, one) => one === "n" ? "\n" : one)] as const
  );
  const labels = Object.fromEntries(pairs);
  const value = parseNumber(match.at(-1) ?? "");
  if (Object.keys(labels).length !== pairs.length || Number.isNaN(value)) return undefined;
  return { name: match[1] ?? "", labels, value };
}

function parseNumber(text: string): number {
  if (/^[+-]Inf$/.test(text)) return text === "+Inf" ? Infinity : -Infinity;
  return /^-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?$/.test(text) ? Number(text) : NaN;
}

function keyOf({ name, labels }: Omit<Series, "value">): string {
  return JSON.stringify([name, Object.entries(labels).sort()]);
}

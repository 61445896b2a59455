/** Numbers that are kept up to date at next to no cost, and printed as Prometheus reads them. */

type Labels = Readonly<Record<string, string>>;

/** One series of a counter or a gauge, as it is now. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

type Instrument = Counter | Reading | Histogram;

/** All that one program measures. */
export class Metrics {
  readonly #instruments: Instrument[] = [];

  /** Everything that was made, in the order in which it was. */
  get instruments(): readonly Instrument[] {
    return this.#instruments;
  }

  /**
   * Counts by labels. Values are kept until they are forgotten, so each label needs few of them at a time, and none that
   * a client makes up.
   */
  counter(name: string, help: string, labels: readonly string[]): Counter {
    return this.#add(new Counter(name, help, labels));
  }

  /** What somebody else counts: `read` is asked whenever somebody looks. */
  count(name: string, help: string, read: Read): Reading {
    return this.#add(new Reading("counter", name, help, read));
  }

  /** `read` is asked whenever somebody looks. */
  gauge(name: string, help: string, read: Read): Reading {
    return this.#add(new Reading("gauge", name, help, read));
  }

  /** How often it took how long, by labels as a counter has them. */
  histogram(name: string, help: string, labels: readonly string[] = []): Histogram {
    return this.#add(new Histogram(name, help, labels));
  }

  /** Prometheus' text format, version 0.0.4. */
  text(): string {
    return this.#instruments.map((one) =>
      `# HELP ${one.name} ${escape(one.help)}\n# TYPE ${one.name} ${one.kind}\n${one.lines()}`
    ).join("");
  }

  #add<T extends Instrument>(instrument: T): T {
    if (this.#instruments.some(({ name }) => name === instrument.name)) {
      throw new Error(`Cannot measure "${instrument.name}": it is measured already`);
    }
    this.#instruments.push(instrument);
    return instrument;
  }
}

type Read = () => number | readonly Sample[];

interface Branch<T> extends Map<string, Branch<T> | T> {}

/** What is kept for each series; a value of the first label leads to those of the second. */
class Series<T> {
  readonly #labels: readonly string[];
  readonly #make: () => T;
  #root: Branch<T> | T;

  constructor(labels: readonly string[], make: () => T) {
    this.#labels = labels;
    this.#make = make;
    this.#root = this.#node(0);
  }

  /** `values`: one for each label, in their order. */
  at(values: readonly string[]): T {
    let node = this.#root;
    for (let depth = 0; depth < this.#labels.length; depth++) {
      const branch = node as Branch<T>;
      const value = values[depth] as string;
      let next = branch.get(value);
      if (next === undefined) branch.set(value, next = this.#node(depth + 1));
      node = next;
    }
    return node as T;
  }

  /** All series that begin with these values. */
  forget(values: readonly string[]): void {
    let branch = this.#root as Branch<T>;
    for (const value of values.slice(0, -1)) {
      const next = branch.get(value);
      if (next === undefined) return;
      branch = next as Branch<T>;
    }
    branch.delete(values.at(-1) as string);
  }

  all(): Generator<readonly [labels: Labels, kept: T]> {
    return this.#walk(this.#root, []);
  }

  *#walk(node: Branch<T> | T, values: readonly string[]): Generator<readonly [Labels, T]> {
    if (values.length === this.#labels.length) yield [this.labelsOf(values), node as T];
    else for (const [value, next] of node as Branch<T>) yield* this.#walk(next, [...values, value]);
  }

  labelsOf(values: readonly string[]): Labels {
    return Object.fromEntries(this.#labels.map((label, at) => [label, values[at] as string]));
  }

  #node(depth: number): Branch<T> | T {
    return depth === this.#labels.length ? this.#make() : new Map();
  }
}

export class Counter {
  readonly kind = "counter";
  readonly #series: Series<{ value: number }>;

  constructor(readonly name: string, readonly help: string, labels: readonly string[]) {
    this.#series = new Series(labels, () => ({ value: 0 }));
  }

  /** One more of these values, one for each label in their order. */
  add(...values: readonly string[]): void {
    this.#series.at(values).value++;
  }

  /** Forgets what has these values of the first labels. */
  forget(...values: readonly [string, ...string[]]): void {
    this.#series.forget(values);
  }

  samples(): readonly Sample[] {
    return Array.from(this.#series.all(), ([labels, { value }]) => ({ labels, value }));
  }

  lines(): string {
    return this.samples().map((sample) => line(this.name, sample)).join("");
  }
}

/** What is kept elsewhere. */
export class Reading {
  constructor(
    readonly kind: "counter" | "gauge",
    readonly name: string,
    readonly help: string,
    private readonly read: Read,
  ) {}

  samples(): readonly Sample[] {
    const now = this.read();
    return typeof now === "number" ? [{ labels: {}, value: now }] : now;
  }

  lines(): string {
    return this.samples().map((sample) => line(this.name, sample)).join("");
  }
}

/** In seconds: from what a commit takes in memory to what nobody should have to wait. */
export const BOUNDS: readonly number[] = [
  ...[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025],
  ...[0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
];

interface Buckets {
  readonly counts: Float64Array;
  sum: number;
}

export class Histogram {
  readonly kind = "histogram";
  /** Gets every value too, in seconds. */
  also: ((seconds: number, labels: Labels) => void) | undefined;
  readonly #series: Series<Buckets>;

  constructor(readonly name: string, readonly help: string, labels: readonly string[] = []) {
    this.#series = new Series(labels, () => ({ counts: new Float64Array(BOUNDS.length + 1), sum: 0 }));
  }

  /** `values`: one for each label, in their order. */
  observe(ms: number, ...values: readonly string[]): void {
    const seconds = ms / 1_000;
    const buckets = this.#series.at(values);
    let i = 0;
    while (i < BOUNDS.length && seconds > (BOUNDS[i] as number)) i++;
    (buckets.counts[i] as number)++;
    buckets.sum += seconds;
    this.also?.(seconds, this.#series.labelsOf(values));
  }

  /** Forgets what has these values of the first labels. */
  forget(...values: readonly [string, ...string[]]): void {
    this.#series.forget(values);
  }

  lines(): string {
    return Array.from(this.#series.all(), ([labels, buckets]) => this.#lines(labels, buckets)).join("");
  }

  #lines(labels: Labels, { counts, sum }: Buckets): string {
    let count = 0;
    const buckets = Array.from(counts, (more, i) => {
      count += more;
      return line(`${this.name}_bucket`, { labels: { ...labels, le: printed(BOUNDS[i] ?? Infinity) }, value: count });
    });
    const total = line(`${this.name}_sum`, { labels, value: sum });
    return `${buckets.join("")}${total}${line(`${this.name}_count`, { labels, value: count })}`;
  }
}

function line(name: string, { labels, value }: Sample): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escape(text).replaceAll('"', '\\"')}"`);
  return `${name}${pairs.length > 0 ? `{${pairs.join()}}` : ""} ${printed(value)}\n`;
}

function escape(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function printed(value: number): string {
  return Math.abs(value) === Infinity ? `${value > 0 ? "+" : "-"}Inf` : `${value}`;
}

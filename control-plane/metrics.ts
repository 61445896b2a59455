/** Numbers that are kept up to date at next to no cost, and printed as Prometheus reads them. */

type Labels = Readonly<Record<string, string>>;

/** One series of a counter or a gauge, as it is now. */
export interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

type Instrument = Counter | Gauge | Histogram;

/** All that one program measures. */
export class Metrics {
  readonly #instruments: Instrument[] = [];

  /** Everything that was made, in the order in which it was. */
  get instruments(): readonly Instrument[] {
    return this.#instruments;
  }

  /** Counts by labels. They are never forgotten, so each needs few values, and none that a client makes up. */
  counter(name: string, help: string, labels: readonly string[]): Counter {
    return this.#add(new Counter(name, help, labels));
  }

  /** `read` is asked whenever somebody looks. */
  gauge(name: string, help: string, read: () => number | readonly Sample[]): Gauge {
    return this.#add(new Gauge(name, help, read));
  }

  /** How often it took how long. */
  histogram(name: string, help: string): Histogram {
    return this.#add(new Histogram(name, help));
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

interface Branch extends Map<string, Branch | Count> {}

interface Count {
  value: number;
}

export class Counter {
  readonly kind = "counter";
  readonly #root: Branch = new Map();

  constructor(readonly name: string, readonly help: string, readonly labels: readonly string[]) {}

  /** One more of these values, one for each label in their order. */
  add(...values: readonly string[]): void {
    let branch = this.#root;
    const last = this.labels.length - 1;
    for (let i = 0; i < last; i++) {
      const value = values[i] as string;
      let next = branch.get(value) as Branch | undefined;
      if (next === undefined) branch.set(value, next = new Map());
      branch = next;
    }
    const value = values[last] as string;
    const count = branch.get(value) as Count | undefined;
    if (count === undefined) branch.set(value, { value: 1 });
    else count.value++;
  }

  samples(): readonly Sample[] {
    return [...this.#walk(this.#root, [])];
  }

  lines(): string {
    return this.samples().map((sample) => line(this.name, sample)).join("");
  }

  *#walk(branch: Branch, values: readonly string[]): Generator<Sample> {
    for (const [value, next] of branch) {
      const all = [...values, value];
      if (next instanceof Map) yield* this.#walk(next, all);
      else yield { labels: Object.fromEntries(this.labels.map((label, i) => [label, all[i] as string])), ...next };
    }
  }
}

export class Gauge {
  readonly kind = "gauge";

  constructor(
    readonly name: string,
    readonly help: string,
    private readonly read: () => number | readonly Sample[],
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

export class Histogram {
  readonly kind = "histogram";
  /** Gets every value too, in seconds. */
  also: ((seconds: number) => void) | undefined;
  readonly #counts = new Float64Array(BOUNDS.length + 1);
  #sum = 0;

  constructor(readonly name: string, readonly help: string) {}

  observe(ms: number): void {
    const seconds = ms / 1_000;
    let i = 0;
    while (i < BOUNDS.length && seconds > (BOUNDS[i] as number)) i++;
    (this.#counts[i] as number)++;
    this.#sum += seconds;
    this.also?.(seconds);
  }

  lines(): string {
    let count = 0;
    const buckets = [...this.#counts].map((more, i) => {
      count += more;
      return line(`${this.name}_bucket`, { labels: { le: printed(BOUNDS[i] ?? Infinity) }, value: count });
    });
    return `${buckets.join("")}${this.name}_sum ${printed(this.#sum)}\n${this.name}_count ${count}\n`;
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

/** What a run of a fault found: the figures of its report. */

export interface Figure {
  readonly name: string;
  readonly value: number;
  /** The promise; where there is none, the figure says how much was done. */
  readonly most?: number;
}

/** Counts and peaks as they come. */
export class Tally {
  readonly #values = new Map<string, number>();

  count(name: string, by = 1): void {
    this.#values.set(name, (this.#values.get(name) ?? 0) + by);
  }

  peak(name: string, value: number): void {
    this.#values.set(name, Math.max(this.#values.get(name) ?? 0, value));
  }

  /** In alphabetical order, beside the promises that there are. */
  figures(promises: Readonly<Record<string, number>> = {}): readonly Figure[] {
    return [...this.#values].sort(([a], [b]) => a < b ? -1 : 1).map(([name, value]) => {
      const most = promises[name];
      return { name, value, ...(most !== undefined && { most }) };
    });
  }
}

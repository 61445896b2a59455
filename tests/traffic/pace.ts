/** When requests are to be sent: so many per second, by whoever has nothing else to do. */

export class Pace {
  readonly #begun = performance.now();
  readonly #idle: ((start: number | undefined) => void)[] = [];
  #given = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;

  /** Without a rate, whenever somebody asks. */
  constructor(private readonly perSecond: number | undefined) {}

  /**
   * Resolves when a request is to be sent, with the time (by `performance.now()`) from which on it waits for its
   * answer: where nobody was free when it was due, that is earlier. With `undefined` when no more are to be sent.
   */
  next(): Promise<number | undefined> {
    if (this.#isOver) return Promise.resolve(undefined);
    const now = performance.now();
    if (this.perSecond === undefined) return Promise.resolve(now);
    const due = this.#due(this.perSecond);
    if (due <= now && this.#idle.length === 0) {
      this.#given++;
      return Promise.resolve(due);
    }
    return new Promise((resolve) => {
      this.#idle.push(resolve);
      this.#wait(due - now);
    });
  }

  end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    for (const resolve of this.#idle.splice(0)) resolve(undefined);
  }

  #due(perSecond: number): number {
    return this.#begun + this.#given * 1_000 / perSecond;
  }

  #wait(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#give(this.perSecond ?? Infinity);
    }, ms);
  }

  #give(perSecond: number): void {
    const now = performance.now();
    while (this.#idle.length > 0 && this.#due(perSecond) <= now) {
      this.#given++;
      this.#idle.shift()?.(now);
    }
    if (this.#idle.length > 0) this.#wait(this.#due(perSecond) - now);
  }
}

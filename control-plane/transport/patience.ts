/** Waits that all may take equally long, under one timer: one for each would cost more than what is mostly waited for. */
export class Patience {
  /** The oldest first. */
  readonly #waits = new Set<{ readonly until: number; readonly end: () => void }>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `ms`: how long a wait may take; then it ends with what `late` makes. */
  constructor(private readonly ms: number, private readonly late: () => Error) {}

  /** What `promise` brings, if it does so in time. */
  wait<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const wait = { until: performance.now() + this.ms, end: () => reject(this.late()) };
      this.#waits.add(wait);
      this.#timer ??= setTimeout(() => this.#expire(), this.ms);
      promise.then(resolve, reject).finally(() => this.#leave(wait));
    });
  }

  #leave(wait: { readonly until: number; readonly end: () => void }): void {
    this.#waits.delete(wait);
    if (this.#waits.size > 0) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #expire(): void {
    this.#timer = undefined;
    for (const wait of this.#waits) {
      const leftMs = wait.until - performance.now();
      if (leftMs > 0) {
        this.#timer = setTimeout(() => this.#expire(), leftMs);
        return;
      }
      this.#waits.delete(wait);
      wait.end();
    }
  }
}

/** When spare backends are made again: once most of them are in use, and not at once, so that many are made in one go. */
export class Refill {
  readonly #spares: number;
  readonly #afterMs: number;
  /** On the monotonic clock. */
  #at = Infinity;

  /** `spares` is how many there are after a reload. */
  constructor(spares: number, afterMs: number) {
    this.#spares = spares;
    this.#afterMs = afterMs;
  }

  get due(): boolean {
    return performance.now() >= this.#at;
  }

  /** So many are left; answers when to look again, in ms from now. */
  left(count: number): number | undefined {
    if (count * 4 >= this.#spares) this.#at = Infinity;
    else if (this.#at === Infinity) this.#at = performance.now() + this.#afterMs;
    return this.#at === Infinity ? undefined : Math.max(0, this.#at - performance.now()) + 1;
  }
}

/** What came and was not looked at yet, for one reader. */
export class Inbox<T> {
  readonly #waiting: T[] = [];
  #wake: () => void = () => {};

  /** How many have come and were not looked at. */
  get size(): number {
    return this.#waiting.length;
  }

  some(is: (one: T) => boolean): boolean {
    return this.#waiting.some(is);
  }

  put(one: T): void {
    this.#waiting.push(one);
    this.#wake();
  }

  /** Hands out each once, in the order in which they came. */
  async next(): Promise<T> {
    while (this.#waiting.length === 0) await new Promise<void>((resolve) => this.#wake = resolve);
    return this.#waiting.shift() as T;
  }
}

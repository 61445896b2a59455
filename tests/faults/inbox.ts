/** What came and was not looked at yet, for one reader. */
export class Inbox<T> {
  #waiting: T[] = [];
  #wake: () => void = () => {};

  some(is: (one: T) => boolean): boolean {
    return this.#waiting.some(is);
  }

  put(one: T): void {
    this.#waiting.push(one);
    this.#wake();
  }

  async next(): Promise<T> {
    while (this.#waiting.length === 0) await new Promise<void>((resolve) => this.#wake = resolve);
    return this.#waiting.shift() as T;
  }
}

/**
 * Holds the newest value for one consumer: values that it was too slow for melt into the next one.
 * Whoever puts is never held up.
 */
export class Newest<T> implements AsyncIterable<T> {
  readonly #merge: (unseen: T, newer: T) => T;
  #value: { readonly value: T } | undefined;
  #end: { readonly error?: unknown } | undefined;
  #wake: (() => void) | undefined;

  /** `merge` joins a value that nobody has taken with the one that replaces it. */
  constructor(merge: (unseen: T, newer: T) => T) {
    this.#merge = merge;
  }

  put(value: T): void {
    if (this.#end) return;
    this.#value = { value: this.#value ? this.#merge(this.#value.value, value) : value };
    this.#wake?.();
  }

  /** No value comes any more; what has not been taken is dropped. */
  end(): void {
    this.#end ??= {};
    this.#wake?.();
  }

  /** The consumer gets the last value, then this error. */
  fail(error: unknown): void {
    this.#end ??= { error };
    this.#wake?.();
  }

  /** Leaving a loop over it ends nothing: the next loop goes on from there. */
  [Symbol.asyncIterator](): AsyncIterator<T> {
    return { next: () => this.#next(), return: () => Promise.resolve({ done: true, value: undefined }) };
  }

  async #next(): Promise<IteratorResult<T>> {
    while (true) {
      const failed = this.#end && "error" in this.#end;
      if (this.#value && (!this.#end || failed)) {
        const { value } = this.#value;
        this.#value = undefined;
        return { done: false, value };
      }
      if (failed) throw this.#end?.error;
      if (this.#end) return { done: true, value: undefined };
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = undefined;
    }
  }
}

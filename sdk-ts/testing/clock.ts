/** Time and chance for tests: no wait ends but the ones that the test ends. */
import type { Ports } from "../ports.ts";

/** A wait that the code under test has begun, and that has not been called off. */
export interface Nap {
  readonly ms: number;
  /** The time is over. */
  end(): void;
}

export class TestClock implements Ports {
  readonly random = () => 0;
  readonly now = () => this.#now;
  /** Lengths of all waits so far, in ms. */
  readonly begun: number[] = [];
  readonly #napping: (Nap & { readonly over: () => boolean })[] = [];
  #now = 1_000;
  #wake = () => {};

  readonly sleep = (ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      this.begun.push(ms);
      let over = signal.aborted;
      const end = () => (over = true, resolve());
      if (over) return resolve();
      signal.addEventListener("abort", end, { once: true });
      this.#napping.push({ ms, over: () => over, end: () => (this.#now += ms, end()) });
      this.#wake();
    });

  /** Time goes by, and nobody wakes. */
  pass(ms: number): void {
    this.#now += ms;
  }

  /** The next wait of this length, in the order in which they began; each is handed out once. */
  async nap(ms: number): Promise<Nap> {
    for (;;) {
      const at = this.#napping.findIndex((nap) => nap.ms === ms && !nap.over());
      if (at >= 0) return this.#napping.splice(at, 1)[0] as Nap;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}

/** Says to a loop that there is something to do; saying it twice before the loop looks is saying it once. */
export class Wake {
  #due = false;
  #waiting: (() => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Infinity;

  set(): void {
    this.#due = true;
    this.#waiting?.();
  }

  /** Says it after a while, or sooner if that was asked for before. */
  later(ms: number): void {
    const at = performance.now() + ms;
    if (at >= this.#timerAt) return;
    this.clear();
    this.#timerAt = at;
    this.#timer = setTimeout(() => {
      this.clear();
      this.set();
    }, ms);
  }

  /** Ends when it has been said since the last time. */
  async wait(): Promise<void> {
    if (!this.#due) await new Promise<void>((resolve) => this.#waiting = resolve);
    this.#due = false;
    this.#waiting = undefined;
  }

  /** Forgets what was to be said later. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timerAt = Infinity;
  }
}

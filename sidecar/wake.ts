/** Says to a loop that there is something to do; saying it twice before the loop looks is saying it once. */
export class Wake {
  #due = false;
  #waiting: (() => void) | undefined;
  /** By what they are for. */
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();

  set(): void {
    this.#due = true;
    this.#waiting?.();
  }

  /** Says it after a while, in ms, in place of what was to be said later for the same cause; other causes stay. */
  later(cause: string, ms: number): void {
    clearTimeout(this.#timers.get(cause));
    this.#timers.set(cause, setTimeout(() => this.set(), ms));
  }

  /** Ends when it has been said since the last time. */
  async wait(): Promise<void> {
    if (!this.#due) await new Promise<void>((resolve) => this.#waiting = resolve);
    this.#due = false;
    this.#waiting = undefined;
  }

  /** Forgets what was to be said later. */
  clear(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }
}

/** HAProxy that has died is started again: at once, and where that fails after pauses that grow, until it runs. */
import type { Log } from "../../proto/log.ts";
import { sleep } from "../../proto/sleep.ts";

export interface RestartsOptions {
  /** Starts it from the files that are in place; throws what keeps it from that. */
  readonly start: () => Promise<void>;
  /** It does not start. */
  readonly onFail: () => void;
  readonly log: Log;
  /** Nothing is started any more. */
  readonly signal: AbortSignal;
}

/** HAProxy has died, and does not start. */
export class Down extends Error {
  override readonly name = "Down";
}

const MAX_PAUSE_MS = 2_000;

export class Restarts {
  readonly #options: RestartsOptions;
  /** While it is being started, which files it reads must be certain. */
  #trying: Promise<void> = Promise.resolve();
  #down: string | undefined;
  #pause: AbortController | undefined;

  constructor(options: RestartsOptions) {
    this.#options = options;
  }

  /** Why it did not start when that was tried last; `undefined` once it has. */
  get down(): string | undefined {
    return this.#down;
  }

  /** Resolves when nothing is being started. Throws `Down` if nothing runs then. */
  async settled(): Promise<void> {
    await this.#trying;
    if (this.#down !== undefined) throw new Down(this.#down);
  }

  /** Tries until it runs, or is to stop; answers whether it runs. */
  async run(): Promise<boolean> {
    const { signal, onFail } = this.#options;
    for (let failures = 0; !signal.aborted; failures++) {
      const tried = this.#try();
      this.#trying = tried.then(() => {});
      if (await tried) return true;
      if (signal.aborted) break;
      onFail();
      const pause = this.#pause = new AbortController();
      await sleep(Math.min(50 * 2 ** failures, MAX_PAUSE_MS), AbortSignal.any([signal, pause.signal]));
      this.#pause = undefined;
    }
    return false;
  }

  /** Ends a pause, after `change` of the files; answers whether there was one. */
  hurry(change: () => void): boolean {
    if (!this.#pause) return false;
    change();
    this.#pause.abort();
    return true;
  }

  async #try(): Promise<boolean> {
    const { start, log, signal } = this.#options;
    try {
      await start();
      if (signal.aborted) return false;
      this.#down = undefined;
      return true;
    } catch (error) {
      const { message } = error as Error;
      // Over and over it would only be said what everybody knows.
      if (!signal.aborted && message !== this.#down) log.error("HAProxy does not start: trying on", { reason: error });
      this.#down = message;
      return false;
    }
  }
}

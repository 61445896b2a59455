/** Checks one instance over and over. */
import type { Address } from "../../proto/settings.ts";
import type { Ports } from "../../sdk-ts/ports.ts";
import { type Check, type CheckStatus, type Health, judge, UNCHECKED } from "./check.ts";
import type { probe } from "./probe.ts";

export interface CheckerOptions {
  /** Asked before each check. */
  readonly target: () => Address;
  readonly check: () => Check;
  readonly probe: typeof probe;
  readonly ports: Pick<Ports, "sleep" | "now">;
  /** What it was found to be before. */
  readonly status: CheckStatus;
  /** After each check: what the instance is found to be, and why this check failed. */
  readonly onResult: (status: CheckStatus, error: string | undefined) => void;
}

/** Until it is disposed. */
export class Checker implements AsyncDisposable {
  readonly #options: CheckerOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #health: Health;
  #asked: string | undefined;
  #pause = new AbortController();

  constructor(options: CheckerOptions) {
    this.#options = options;
    this.#health = { ...UNCHECKED, status: options.status };
    this.#running = this.#run();
  }

  /** Checks at once: what is asked may have changed. */
  poke(): void {
    this.#pause.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { ports, target, check, probe, onResult } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      this.#pause = new AbortController();
      const [asked, { host, port }, from] = [check(), target(), ports.now()];
      this.#ask(JSON.stringify([asked.kind, asked.path, host, port]));
      const error = await probe(asked, { host, port }, signal);
      if (signal.aborted) return;
      this.#health = judge(this.#health, error === undefined, asked);
      onResult(this.#health.status, error);
      const waitMs = Math.max(0, from + asked.intervalMs - ports.now());
      await ports.sleep(waitMs, AbortSignal.any([signal, this.#pause.signal]));
    }
  }

  /** Results of another question, or of another address, say nothing of this one. */
  #ask(question: string): void {
    if (this.#asked !== undefined && this.#asked !== question) this.#health = UNCHECKED;
    this.#asked = question;
  }
}

import { sleep } from "../proto/sleep.ts";

/** Time and chance, as ports: tests bring their own. */
export interface Ports {
  /** In [0, 1). */
  readonly random: () => number;
  /** Resolves after `ms`, or at once when the signal is aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** In ms; never goes back, and says nothing but how long something took. */
  readonly now: () => number;
}

export const REAL: Ports = { random: Math.random, sleep, now: () => performance.now() };

import { status } from "@grpc/grpc-js";
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

const BASE_MS = 50;
const MAX_MS = 3_000;

/**
 * How long to wait before retry `n` (from 1) of reaching a control plane, in ms: up to a most that doubles each time,
 * to 3 s, and of which chance takes any part, so that those whom one control plane left do not come back in step.
 */
export function reconnectDelay(n: number, random: () => number): number {
  const most = Math.min(MAX_MS, BASE_MS * 2 ** Math.min(n - 1, 16));
  return Math.round(most - random() * most);
}

/** Codes after which asking again gives the same answer; everything else may be the connection's fault. */
export const FINAL_CODES: ReadonlySet<status> = new Set([
  status.INVALID_ARGUMENT,
  status.PERMISSION_DENIED,
  status.UNAUTHENTICATED,
  status.NOT_FOUND,
  status.UNIMPLEMENTED,
]);

import { status } from "@grpc/grpc-js";

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

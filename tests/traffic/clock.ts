/**
 * Now, in ms since 1970 with fractions: what senders, receivers and tests write down, so that the times of processes of
 * one machine can be compared. It does not jump while a process runs.
 */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

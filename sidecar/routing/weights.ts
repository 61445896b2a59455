/**
 * Weights for balancers that put instances on a ring: HAProxy keeps 16 points of 72 bytes for each unit, so 100 for
 * each of 20 000 instances would take more than a gigabyte. What counts is the ratio.
 */

const MAX_WEIGHT = 256;
/** With 64 points an instance's share of the ring is even to about an eighth. */
const LEAST_UNITS = 4;

/** The least whole numbers of the same ratio, four times as large where HAProxy takes that; 0 stays 0. */
export function ringWeights(weights: readonly number[]): readonly number[] {
  const divisor = weights.reduce(gcd, 0);
  if (divisor === 0) return weights;
  const units = weights.map((weight) => weight / divisor);
  return Math.max(...units) * LEAST_UNITS > MAX_WEIGHT ? units : units.map((unit) => unit * LEAST_UNITS);
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

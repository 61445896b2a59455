/**
 * Shares as rows of a map that is searched by prefix. A request's bucket is a number from 10000 to 19999, written in
 * decimal; a range of buckets is a few decimal prefixes: integer ranges would be scanned one by one.
 */

const BUCKETS = 10_000;
const DIGITS = 5;

/** The fewest prefixes that cover the buckets [from, to), counted from 0. */
export function prefixes(from: number, to: number): readonly string[] {
  const found: string[] = [];
  for (let at = from; at < to;) {
    let size = 1;
    while (size < BUCKETS && at % (size * 10) === 0 && at + size * 10 <= to) size *= 10;
    found.push(String(BUCKETS + at).slice(0, DIGITS - Math.log10(size)));
    at += size;
  }
  return found;
}

/** The prefix of all buckets. */
export const ALL_BUCKETS = "1";

/** The same buckets, without {@link ALL_BUCKETS}. */
export function inTenths(found: readonly string[]): readonly string[] {
  return found.flatMap((prefix) =>
    prefix === ALL_BUCKETS ? Array.from({ length: 10 }, (_, digit) => prefix + digit) : prefix
  );
}

/** Prefixes for each share, in order; shares are basis points that add up to 10 000. An empty share has none. */
export function sharePrefixes(shares: readonly number[]): readonly (readonly string[])[] {
  let from = 0;
  return shares.map((share) => prefixes(from, from += share));
}

/** Where a name leads: one version, or a split among several. */
import { Invalid, type StickyHeader, type Version } from "./names.ts";

export type Route = Split | { readonly kind: "version"; readonly version: Version };

/** Made only by {@link parseSplit}. */
export interface Split {
  readonly kind: "split";
  /** By version, ascending; two to {@link MOST_SHARES}; the shares add up to {@link ALL}. */
  readonly shares: readonly Share[];
  /** The request header whose value decides; absent: the flow does. */
  readonly stickyHeader?: StickyHeader;
}

export interface Share {
  readonly version: Version;
  /** Basis points: 0 to 10000. */
  readonly share: number;
}

/** All traffic, in basis points. */
export const ALL = 10_000;

/** Versions that one split may name: an alias travels with its service. */
export const MOST_SHARES = 100;

/** The one constructor of splits. */
export function parseSplit(shares: readonly Share[], stickyHeader?: StickyHeader): Split | Invalid {
  if (shares.length < 2) return new Invalid("expected two or more versions");
  if (shares.length > MOST_SHARES) return new Invalid(`expected at most ${MOST_SHARES} versions`);
  const whole = shares.every(({ share }) => Number.isInteger(share) && share >= 0 && share <= ALL);
  if (!whole) return new Invalid(`expected shares that are whole numbers of basis points from 0 to ${ALL}`);
  const total = shares.reduce((sum, { share }) => sum + share, 0);
  if (total !== ALL) return new Invalid(`expected shares that add up to ${ALL} basis points, not ${total}`);
  const sorted = [...shares].sort((a, b) => a.version - b.version);
  const twice = sorted.find((share, i) => share.version === sorted[i - 1]?.version);
  if (twice) return new Invalid(`expected each version once: v${twice.version} occurs again`);
  return { kind: "split", shares: sorted, ...(stickyHeader !== undefined && { stickyHeader }) };
}

export function sameRoute(a: Route, b: Route): boolean {
  if (a.kind === "version" || b.kind === "version") {
    return a.kind === "version" && b.kind === "version" && a.version === b.version;
  }
  return a.stickyHeader === b.stickyHeader && a.shares.length === b.shares.length &&
    a.shares.every(({ version, share }, i) => version === b.shares[i]?.version && share === b.shares[i].share);
}

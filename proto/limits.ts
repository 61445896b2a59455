/**
 * Bounds of what the map may hold, for those who write it and those who route by it: a sidecar takes what a control plane
 * takes, and refuses a service beyond that.
 */

/** Least and most, both allowed. */
export type Range = readonly [least: number, most: number];

export const WEIGHT_RANGE: Range = [0, 256];

/** How long a call may take, in ms. */
export const TIMEOUT_RANGE: Range = [1, 600_000];

/** Connections, and who waits for one; 0: no limit. */
export const LIMIT_RANGE: Range = [0, 1_000_000];

export const CHECK_RANGES = {
  intervalMs: [100, 3_600_000],
  rise: [1, 100],
  fall: [1, 100],
} as const satisfies Record<string, Range>;

/** What is not said of a check. */
export const DEFAULT_CHECK = { kind: "TCP", path: "/", intervalMs: 2_000, rise: 2, fall: 3 } as const;

/** In letters, all of them ASCII. */
export const MAX_CHECK_PATH = 1_024;

/** Keys and values of one instance's metadata together, in bytes of UTF-8. */
export const MAX_METADATA_BYTES = 4_096;

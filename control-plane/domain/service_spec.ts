/** A service's own fields beside its switch: how its instances are reached, checked and called. */
import { type Range, TIMEOUT_RANGE } from "../../proto/limits.ts";
import type { Port } from "./names.ts";

/** Two of the same content have the same JSON: fields stand in the order of this page, what is not set is absent. */
export interface ServiceSpec {
  readonly protocol: "HTTP1" | "H2C" | "TCP" | "TLS";
  readonly check?: Check;
  readonly policy?: CallPolicy;
  readonly balancer: "P2C" | "ROUND_ROBIN" | "RING_HASH";
  readonly limits?: Limits;
  /** Where every host serves it, beside the one port for all. */
  readonly localPort?: Port;
}

/** How an instance is found to work. */
export interface Check {
  readonly kind: "TCP" | "HTTP" | "GRPC";
  /** For HTTP only; begins with a slash. */
  readonly path?: string;
  readonly intervalMs: number;
  /** Successes in a row until it is passing. */
  readonly rise: number;
  /** Failures in a row until it is failing. */
  readonly fall: number;
}

/** What is not set is left to the client; `policy.proto` has fields, ranges and defaults. */
export type CallPolicy =
  & { readonly [K in keyof typeof POLICY_RANGES]?: number }
  & { readonly statuses?: readonly number[]; readonly budget?: RetryBudget };

export type RetryBudget = { readonly [K in keyof typeof BUDGET_RANGES]: number };

/** Per host; 0: no limit. */
export interface Limits {
  readonly maxConnections: number;
  readonly maxQueue: number;
}

/** Times in ms, shares in permille, sizes in bytes. */
export const POLICY_RANGES = {
  timeoutMs: TIMEOUT_RANGE,
  perTryMs: TIMEOUT_RANGE,
  minTryMs: [0, TIMEOUT_RANGE[1]],
  maxAttempts: [1, 10],
  maxTransparent: [0, 10],
  baseMs: [0, 600_000],
  maxMs: [0, 600_000],
  multPermille: [1_000, 10_000],
  jitterPermille: [0, 1_000],
  maxRetryAfterMs: [0, 600_000],
  maxReplayBytes: [0, 1 << 24],
  panicPercent: [0, 100],
} as const satisfies Record<string, Range>;

export const BUDGET_RANGES = {
  ratioPermille: [0, 1_000],
  minPerSec: [0, 100],
  burst: [0, 100],
} as const satisfies Record<string, Range>;

/** What a client takes where neither it nor the service says: what `baseMs` and `maxMs` are held against alone. */
export const DEFAULT_BACKOFF_MS = { base: 25, max: 250 };

export const STATUS_RANGE: Range = [100, 599];

export const DEFAULT_SPEC: ServiceSpec = { protocol: "HTTP1", balancer: "P2C" };

export function sameSpec(a: ServiceSpec, b: ServiceSpec): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

/** Whether nothing was ever said of the service. */
export function isDefaultSpec(spec: ServiceSpec): boolean {
  return sameSpec(spec, DEFAULT_SPEC);
}

/** A bound from above on its encoding: the names alone take more than the tags and numbers of the wire. */
export function specBytes(spec: ServiceSpec): number {
  return spec === DEFAULT_SPEC ? 0 : 2 * JSON.stringify(spec).length;
}

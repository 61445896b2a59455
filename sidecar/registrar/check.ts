/** How an instance is found to work, and what results in a row mean. */
import { type Check as CheckMessage, Check_Kind } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { DEFAULT_CHECK } from "../../proto/limits.ts";

export type CheckKind = "TCP" | "HTTP" | "GRPC";

/** How the instances of a service are checked. */
export interface Check {
  readonly kind: CheckKind;
  /** Of HTTP. */
  readonly path: string;
  readonly intervalMs: number;
  /** Successes in a row until it is passing again. */
  readonly rise: number;
  /** Failures in a row until it is failing. */
  readonly fall: number;
}

/** As the map says it of a service, and the default where it does not. */
export function checkOf({ kind, path, interval, rise, fall }: CheckMessage): Check {
  const intervalMs = interval ? Number(interval.seconds) * 1_000 + interval.nanos / 1_000_000 : 0;
  return {
    kind: KINDS[kind] ?? DEFAULT_CHECK.kind,
    path: path || DEFAULT_CHECK.path,
    intervalMs: intervalMs || DEFAULT_CHECK.intervalMs,
    rise: rise || DEFAULT_CHECK.rise,
    fall: fall || DEFAULT_CHECK.fall,
  };
}

const KINDS: Readonly<Partial<Record<Check_Kind, CheckKind>>> = {
  [Check_Kind.TCP]: "TCP",
  [Check_Kind.HTTP]: "HTTP",
  [Check_Kind.GRPC]: "GRPC",
};

const MOST_MS = 5_000;

/** How long one check may take, in ms: no longer than until the next one. */
export function timeLimit({ intervalMs }: Check): number {
  return Math.min(intervalMs, MOST_MS);
}

export type CheckStatus = "unknown" | "passing" | "failing";

/** What the results so far say. */
export interface Health {
  readonly status: CheckStatus;
  /** How many results in a row have spoken against the status. */
  readonly against: number;
}

/** Before the first result. */
export const UNCHECKED: Health = { status: "unknown", against: 0 };

/** The first result decides; after that it takes `fall` failures, or `rise` successes, in a row. */
export function judge(
  { status, against }: Health,
  passed: boolean,
  { rise, fall }: Pick<Check, "rise" | "fall">,
): Health {
  const said: CheckStatus = passed ? "passing" : "failing";
  if (status === said) return { status, against: 0 };
  const needed = status === "unknown" ? 1 : passed ? rise : fall;
  return against + 1 >= needed ? { status: said, against: 0 } : { status, against: against + 1 };
}

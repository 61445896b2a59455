/**
 * What may become of a request through a sidecar while hosts are cut off from each other, and what has.
 *
 * A sidecar learns from the map alone who is there. HAProxy tries three instances of those, never the same one twice in a row,
 * 1 s each (`TIMEOUTS.connectMs`, `retries 2`, `option redispatch 1`), and sends a request once, over the first connection
 * that stands. A request therefore had a living instance for certain when at least one instance of its service could be
 * reached from its start to its end, and at most one could not. Then it is answered, unless it was sent over a connection
 * to the other side of the cut: one that stood when the cut was made, or, for a moment after, an idle one that HAProxy kept.
 * What was sent so may be lost, and nobody can say whether it was processed. Where several instances cannot be reached the
 * three tries may meet those alone; the answer then says that nothing was processed.
 */

/** A request of a caller, and what became of it: an answer, or none. Times in ms of the wall clock. */
export interface Outcome {
  readonly id: string;
  /** The caller's host. */
  readonly from: string;
  readonly service: string;
  /** On a connection that had other requests before it, and may have more. */
  readonly kept: boolean;
  readonly at: number;
  /** How long it took. */
  readonly ms: number;
  readonly answer?: {
    readonly status: number;
    /** `service/host` */
    readonly instance?: string;
    /** `Portolan-Error` */
    readonly error?: string;
    readonly notProcessed: boolean;
  };
  readonly failure?: string;
}

/** A request as an instance got it. */
export interface Arrival {
  readonly id: string;
  readonly at: number;
  /** `service/host` */
  readonly instance: string;
}

/** Hosts that could not reach each other for a while. */
export interface Cut {
  /** Its making began, and was done. */
  readonly begun: number;
  readonly made: number;
  /** Its healing was done; infinite while it is not. */
  readonly healed: number;
  separates(one: string, other: string): boolean;
}

/** Whatever else there is must not be. */
export type Verdict =
  | "answered"
  /** It was under way when the cut was made. */
  | "lost in the cut"
  /** It was sent over an idle connection that stood before the cut. */
  | "lost on an idle connection"
  /** Three tries met instances beyond the cut alone: 503 `connect`, not processed. */
  | "tries ran out"
  /** The same on a kept connection, which HAProxy closes without an answer when connecting took too long. */
  | "tries ran out, not told"
  /** There was no instance on this side of the cut; said as it is. */
  | "nobody to reach"
  | "nobody to reach, not told";

/** HAProxy closes idle connections bit by bit, beginning 100 ms (`pool-purge-delay`) after their last use. */
const IDLE_MS = 1_000;

export interface Happened {
  /** The hosts with an instance, by service. */
  readonly placed: ReadonlyMap<string, readonly string[]>;
  readonly cuts: readonly Cut[];
  /** By request. */
  readonly arrivals: ReadonlyMap<string, readonly Arrival[]>;
}

/** What a request's outcome was, or a sentence on why it must not be. */
export function judge(outcome: Outcome, happened: Happened): Verdict | Error {
  const arrivals = happened.arrivals.get(outcome.id) ?? [];
  const fault = (why: string) => new Error(`${describe(outcome)}: ${why}; it arrived ${describeArrivals(arrivals)}`);
  if (arrivals.length > 1) return fault("it was sent twice");
  const { answer } = outcome;
  if (answer?.status === 200) {
    return answer.instance === arrivals[0]?.instance ? "answered" : fault("nobody got it who says so");
  }
  const cuts = cutsDuring(outcome, happened.cuts);
  const hosts = happened.placed.get(outcome.service) ?? [];
  const beyond = hosts.filter((host) => cuts.some((cut) => cut.separates(outcome.from, host)));
  const unreachable = beyond.length === hosts.length
    ? "nobody to reach"
    : beyond.length > 1
    ? "tries ran out"
    : undefined;
  if (answer?.notProcessed) {
    if (arrivals.length > 0) return fault("it was processed");
    const isRight = answer.error === "connect" ||
      (answer.error === "no_instances" && unreachable === "nobody to reach");
    return unreachable && isRight ? unreachable : fault("an instance could be reached");
  }
  if (answer) return fault("no such answer is to be expected");
  const isClosed = outcome.failure === CLOSED && outcome.kept;
  if (unreachable && isClosed && arrivals.length === 0) return `${unreachable}, not told`;
  const isBeyond = ({ instance }: Arrival) => beyond.some((host) => instance === `${outcome.service}/${host}`);
  if (beyond.length === 0 || !arrivals.every(isBeyond)) return fault("nothing has cut it off");
  if (cuts.some(({ made }) => outcome.at <= made)) return "lost in the cut";
  if (outcome.kept && cuts.some(({ made }) => outcome.at <= made + IDLE_MS)) return "lost on an idle connection";
  return fault("it was sent after the cut");
}

/** What a caller says of a connection that ended before the first byte of an answer. */
export const CLOSED = "closed without an answer";

function cutsDuring({ at, ms }: Outcome, cuts: readonly Cut[]): readonly Cut[] {
  return cuts.filter(({ begun, healed }) => begun <= at + ms && at <= healed);
}

function describe({ id, from, service, kept, at, ms, answer, failure }: Outcome): string {
  const what = answer ? [answer.status, answer.error].filter(Boolean).join(" ") : failure;
  const connection = kept ? "a kept connection" : "a new connection";
  return `Request ${id} of ${from} to ${service} at ${
    new Date(at).toISOString()
  } on ${connection}: ${what} after ${ms} ms`;
}

function describeArrivals(arrivals: readonly Arrival[]): string {
  if (arrivals.length === 0) return "nowhere";
  return arrivals.map(({ instance, at }) => `at ${instance} at ${new Date(at).toISOString()}`).join(" and ");
}

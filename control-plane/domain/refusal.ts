/** Why something asked for is not done. A value: nothing is thrown that a caller may have caused. */

/** A closed set; `transport/status.ts` says what each is called on the wire. */
export type RefusalCode =
  /** Not of the shape that the contract asks for. */
  | "invalid"
  /** What is named does not exist. */
  | "not_found"
  /** Over a limit of size or number. */
  | "too_large"
  /** The resource is not at the revision that the writer expected. */
  | "moved"
  /** What is asked for would take too much away: it must be forced. */
  | "in_use"
  /** So far back nothing is remembered. */
  | "forgotten"
  /** Its sender asks too much at once. */
  | "too_many"
  /** Others kept changing what this relies on. */
  | "conflict"
  /** Not possible now and certainly not done: try again. */
  | "unavailable"
  /** Perhaps done, or a part of it: the store could not tell, or ended half way. */
  | "unknown";

export interface Violation {
  /** As in JSON, nested ones with dots and brackets: `split[0].share`. */
  readonly field: string;
  readonly description: string;
}

export interface Refusal {
  readonly kind: "refuse";
  readonly code: RefusalCode;
  /** One sentence for people. */
  readonly message: string;
  readonly violations: readonly Violation[];
}

export function refuse(code: RefusalCode, message: string, violations: readonly Violation[] = []): Refusal {
  return { kind: "refuse", code, message, violations };
}

/** Whether an outcome is a refusal. */
export function isRefusal(outcome: object): outcome is Refusal {
  return "kind" in outcome && outcome.kind === "refuse";
}

/** The refusal of a request whose fields are not what they should be. */
export function invalid(violations: readonly Violation[]): Refusal {
  const named = violations.slice(0, MOST_NAMED);
  const more = violations.length > named.length ? [`and ${violations.length - named.length} more`] : [];
  const message = [...named.map(({ field, description }) => `${field}: ${description}`), ...more].join("; ");
  return refuse("invalid", message, named);
}

// Over gRPC a refusal travels in headers, of which clients take 8 KiB.
const MOST_NAMED = 16;

/** Why the rest of something was not done: that nothing was would not be true. */
export function halfDone(refusal: Refusal): Refusal {
  if (refusal.code !== "unavailable") return refusal;
  return refuse("unknown", `${refusal.message}; a part of it is done, and the same again does the rest`);
}

/** How requests end, and what senders are. */
import { LEFT, OK } from "./ledger.ts";

/**
 * `ok`; `left`, given up because the sender had to end; or a failure: `status:…`, `grpc:…`, `refused` (the connection),
 * `reset` and `eof` (before a byte of the answer), `eof_idle` (the same on a connection that had been kept), `truncated`
 * (ended after a byte of the answer), `timeout`, `wrong_answer`, `refused_stream` (again and again).
 */
export interface Outcome {
  readonly outcome: string;
  readonly detail?: string;
  /** How often it was sent again because it certainly had not been processed. */
  readonly resent?: number;
}

export const DONE: Outcome = { outcome: OK };
export const GIVEN_UP: Outcome = { outcome: LEFT };

export interface Sender extends Disposable {
  /** Sends one request, and answers with its outcome; throws for nothing but bugs. */
  send(id: number, service: string): Promise<Outcome>;
  /** Has to end: gives up what would go on for long. */
  leave?(): void;
}

/** A connection ended, or was ended. */
export class Cut extends Error {
  override readonly name = "Cut";

  constructor(readonly how: "refused" | "reset" | "eof" | "timeout" | "left", detail = "") {
    super(detail);
  }
}

export interface Progress {
  /** A byte of the answer has come. */
  readonly isBegun?: boolean;
  /** The connection was kept from an earlier request. */
  readonly isKept?: boolean;
}

/** The outcome of a request whose connection was cut. Throws what is no `Cut`. */
export function cutOutcome(error: unknown, { isBegun = false, isKept = false }: Progress = {}): Outcome {
  if (!(error instanceof Cut)) throw error;
  const { how, message } = error;
  const detail = message ? { detail: message } : {};
  if (how !== "eof" && how !== "reset") return { outcome: how === "left" ? LEFT : how, ...detail };
  if (isBegun) return { outcome: "truncated", detail: message || how };
  return isKept ? { outcome: "eof_idle", detail: message || how } : { outcome: how, ...detail };
}

/** The outcome of a whole answer with this status and body. */
export function answerOutcome(status: number, body: string, isRight: boolean): Outcome {
  if (status !== 200) return { outcome: `status:${status}`, detail: body.slice(0, MOST_DETAIL) };
  return isRight ? DONE : { outcome: "wrong_answer", detail: body.slice(0, MOST_DETAIL) };
}

const MOST_DETAIL = 200;

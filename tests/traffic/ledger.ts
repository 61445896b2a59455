/**
 * What senders and receivers write down of each request, in columns: of a million requests it is a few arrays.
 * Times are in ms after `origin`, which is in ms since 1970. Plain data: it travels between processes as JSON.
 */

/** How requests are made. The first five are short, the others take as long as they are asked to. */
export const KINDS = [
  /** GET over a kept connection. */
  "kept",
  /** GET over a connection of its own. */
  "new",
  /** POST with a body of up to 20 000 bytes over a kept connection. */
  "post",
  /** A request over HTTP/2 without TLS; all senders share one connection. */
  "h2c",
  /** A unary call; all senders share one channel. */
  "grpc",
  /** GET over a kept connection that is answered late. */
  "slow",
  /** GET whose answer goes on and on. */
  "stream",
  /** One request is a WebSocket, which says something every 100 ms for as long as there is traffic. */
  "websocket",
  /** A call that is answered on and on. */
  "grpc_stream",
] as const;

export type Kind = typeof KINDS[number];

/** Outcomes that are no failure: the whole right answer; given up by the sender because it had to end. */
export const OK = "ok";
export const LEFT = "left";

/** A row for each request. The row number and `base` make up the request's id, which it carries as `X-Request`. */
export interface Sent {
  readonly base: number;
  readonly origin: number;
  /** What `service` and `outcome` are numbers of. */
  readonly services: readonly string[];
  readonly outcomes: readonly string[];
  readonly kind: readonly number[];
  readonly service: readonly number[];
  /** When it was begun to be sent. */
  readonly at: readonly number[];
  readonly outcome: readonly number[];
  /** Until its outcome, in ms; with the time for which it had to wait for its turn. */
  readonly took: readonly number[];
  /** By row, how often it was sent again because it certainly had not been processed. */
  readonly resent: readonly (readonly [row: number, times: number])[];
  /** By row, what more can be said of a failure. */
  readonly details: readonly (readonly [row: number, detail: string])[];
}

export interface InstanceName {
  readonly id: string;
  readonly service: string;
  readonly version: number;
}

/** A row for each request that arrived, in the order of arrival. */
export interface Arrived {
  readonly origin: number;
  /** What `instance` is a number of. One that was stopped and started again is there twice. */
  readonly instances: readonly InstanceName[];
  /** Of the request; 0 when it does not carry one. */
  readonly id: readonly number[];
  readonly at: readonly number[];
  readonly instance: readonly number[];
  /** The port at the connection's other end: those that are there at the same time have different ones. */
  readonly connection: readonly number[];
}

/** To the microsecond: clocks say no more, and as text it is short. */
export function rounded(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}

/** Numbers for texts. */
export class Numbering {
  readonly texts: string[] = [];
  readonly #numbers = new Map<string, number>();

  of(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    this.#numbers.set(text, this.texts.length);
    return this.texts.push(text) - 1;
  }
}

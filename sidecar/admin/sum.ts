/** Figures of several servers as one. Pure. */
import { AT, type Figure } from "./stat_rows.ts";

/** Since the worker was started; of connections that are passed on as bytes where those are no requests. */
export interface FiguresJson {
  /** Under way. */
  readonly current: number;
  /** Waiting for one of the connections that an instance may have. */
  readonly queued: number;
  /** Those that ended up here, answered or not: what went on to another instance is counted there. */
  readonly requests: number;
  /** Of these: no connection could be made. */
  readonly connectErrors: number;
  /** Of these: no answer, or none that is whole. */
  readonly responseErrors: number;
  /** Connections that could not be made and were tried again: here, and with another instance. */
  readonly retries: number;
  readonly redispatches: number;
  /** The instance's own answers. */
  readonly statuses: Readonly<Record<"1xx" | "2xx" | "3xx" | "4xx" | "5xx", number>>;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly queueMs: Times;
  readonly connectMs: Times;
  /** To the headers of the answer. */
  readonly responseMs: Times;
  readonly totalMs: Times;
}

/** The mean is of each one's last 1 024 requests, weighted by requests where there are several. */
export interface Times {
  readonly mean: number;
  readonly max: number;
}

export class Sum {
  #requests = 0;
  readonly #counts = new Array<number>(COUNTS).fill(0);
  /** Means times requests. */
  readonly #spent = new Array<number>(TIMES).fill(0);
  readonly #maxima = new Array<number>(TIMES).fill(0);

  /** Adds what HAProxy says of one server, by `AT`. */
  addRow(figures: readonly number[]): void {
    const requests = requestsOf(figures);
    const spent = figures.slice(COUNTS, COUNTS + TIMES).map((mean) => mean * requests);
    this.#add(requests, figures, spent, figures.slice(COUNTS + TIMES));
  }

  add(other: Sum): void {
    this.#add(other.#requests, other.#counts, other.#spent, other.#maxima);
  }

  json(): FiguresJson {
    const requests = this.#requests;
    const count = (figure: Figure) => this.#counts[AT[figure]] as number;
    const times = (at: number): Times => ({
      // To a tenth of a ms: what is weighted is whole.
      mean: requests === 0 ? 0 : Math.round((this.#spent[at] as number) * 10 / requests) / 10,
      max: this.#maxima[at] as number,
    });
    return {
      current: count("scur"),
      queued: count("qcur"),
      requests,
      connectErrors: count("econ"),
      responseErrors: count("eresp"),
      retries: count("wretr"),
      redispatches: count("wredis"),
      statuses: {
        "1xx": count("hrsp_1xx"),
        "2xx": count("hrsp_2xx"),
        "3xx": count("hrsp_3xx"),
        "4xx": count("hrsp_4xx"),
        "5xx": count("hrsp_5xx"),
      },
      bytesIn: count("bin"),
      bytesOut: count("bout"),
      queueMs: times(0),
      connectMs: times(1),
      responseMs: times(2),
      totalMs: times(3),
    };
  }

  #add(requests: number, counts: readonly number[], spent: readonly number[], maxima: readonly number[]): void {
    this.#requests += requests;
    for (let at = 0; at < COUNTS; at++) (this.#counts[at] as number) += counts[at] as number;
    for (let at = 0; at < TIMES; at++) {
      (this.#spent[at] as number) += spent[at] as number;
      this.#maxima[at] = Math.max(this.#maxima[at] as number, maxima[at] as number);
    }
  }
}

// Counts come first, then a mean for each time, then a maximum for each.
const COUNTS = AT.qtime;
const TIMES = AT.qtime_max - AT.qtime;

/** HAProxy counts each attempt to connect. */
function requestsOf(figures: readonly number[]): number {
  const [all = 0, retries = 0, redispatches = 0] = [figures[AT.stot], figures[AT.wretr], figures[AT.wredis]];
  return Math.max(0, all - retries - redispatches);
}

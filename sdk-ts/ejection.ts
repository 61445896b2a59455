/**
 * Who does not answer is left out for a while, each client judging for itself: at five failures in a row, for 30 s times
 * how often it was lately, and never more than about a third of a service, nor its only instance. Pure: the clock comes in.
 */

const FAILURES = 5;
const PERIOD_MS = 30_000;
/** One step of the count of ejections is forgiven for each that long after the last one. */
const FORGIVEN_MS = 10_000;
const MOST_PERIODS = 10;
/** The largest share of a service that is out at once, in percent. One may always be, of several. */
const MOST_PERCENT = 34;

interface Record {
  failures: number;
  periods: number;
  untilMs: number;
}

/** Of one service. Times are ms of one monotonic clock. */
export class Ejections {
  readonly #records = new Map<string, Record>();

  /** Until when an instance is left out, in ms; 0 if it never was. */
  until(id: string): number {
    return this.#records.get(id)?.untilMs ?? 0;
  }

  /** Those that are left out now. */
  ejected(nowMs: number): readonly string[] {
    return [...this.#records].filter(([, { untilMs }]) => nowMs < untilMs).map(([id]) => id);
  }

  /** A call failed; `size` counts all instances that calls may go to. Answers whether the instance is left out from now on. */
  failed(id: string, nowMs: number, size: number): boolean {
    const record = this.#records.get(id) ?? { failures: 0, periods: 0, untilMs: 0 };
    this.#records.set(id, record);
    // What was under way when it was left out says nothing new.
    if (nowMs < record.untilMs) return false;
    record.failures++;
    if (record.failures < FAILURES || !this.#mayEject(nowMs, size)) return false;
    const forgiven = Math.floor((nowMs - record.untilMs) / FORGIVEN_MS);
    record.periods = Math.min(MOST_PERIODS, Math.max(0, record.periods - forgiven) + 1);
    record.untilMs = nowMs + PERIOD_MS * record.periods;
    record.failures = 0;
    return true;
  }

  /** A call was answered. */
  answered(id: string): void {
    const record = this.#records.get(id);
    if (record) record.failures = 0;
  }

  /** Forgets all but these instances. */
  keep(ids: ReadonlySet<string>): void {
    for (const id of this.#records.keys()) if (!ids.has(id)) this.#records.delete(id);
  }

  #mayEject(nowMs: number, size: number): boolean {
    const out = this.ejected(nowMs).length;
    return size > 1 && (out === 0 || (out + 1) * 100 <= MOST_PERCENT * size);
  }
}

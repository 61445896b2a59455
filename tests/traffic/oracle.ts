/** Holds what senders wrote down against what receivers wrote down. Pure. */
import { spread } from "../bench/measure.ts";
import { means } from "./answer.ts";
import { type Arrived, type Kind, KINDS, LEFT, OK, type Sent } from "./ledger.ts";

export interface Problem {
  /**
   * `failed`: its outcome is a failure. `lost`: its outcome is none, but it never arrived. `doubled`: it arrived more
   * than once. `misrouted`: it arrived at an instance of another service or version. `unsent`: it arrived, but was
   * never sent.
   */
  readonly what: "failed" | "lost" | "doubled" | "misrouted" | "unsent";
  readonly request: SentRequest;
  /** The instances that it arrived at, in this order. */
  readonly instances: readonly string[];
}

export interface SentRequest {
  readonly id: number;
  /** These are empty, and the times 0, for one that was never sent. */
  readonly kind: Kind | "";
  readonly service: string;
  readonly outcome: string;
  readonly detail: string;
  /** When it was begun to be sent, in ms since 1970. */
  readonly at: number;
  readonly tookMs: number;
}

/** What became of the requests of one kind; times in ms. */
export interface KindFigures {
  readonly sent: number;
  readonly ok: number;
  readonly failed: number;
  /** Whole as far as they went, when their sender had to end. */
  readonly left: number;
  /** How often one was sent again because it certainly had not been processed. */
  readonly resent: number;
  /** Of those that are ok. */
  readonly p50: number;
  readonly p99: number;
}

export interface Verdict {
  readonly kinds: Readonly<Partial<Record<Kind, KindFigures>>>;
  /** All requests, and those of them that failed. */
  readonly sent: number;
  readonly failed: number;
  /** From the first one that was sent to the last one. */
  readonly perSecond: number;
  /** In the order in which they were sent; none is what is promised. */
  readonly problems: readonly Problem[];
  /**
   * Who was sent at `from` or later and arrived at an instance before `to`, in ms since 1970: while nobody should have. Who
   * was on the way at `to` may have been routed after it.
   */
  routedTo(instance: string, from: number, to?: number): readonly SentRequest[];
  /** Of the first request that was sent at or after this time and is ok: when it was sent, in ms since 1970. */
  okSince(at: number): number | undefined;
  /** For people: figures, and the first problems. */
  readonly text: string;
}

/** Ids of one traffic are apart from those of all others by so much. */
export const MOST_REQUESTS = 1e9;

export function judge(sent: Sent, arrived: Arrived): Verdict {
  const places = placesOf(sent, arrived);
  const details = new Map(sent.details);
  const request = (row: number) => requestOf(sent, details, row);
  const problems = [
    ...sent.at.flatMap((_, row) => problemsOf(request(row), places.get(row) ?? [], arrived)),
    ...Array.from(places.keys()).filter((row) => row >= sent.at.length)
      .map((row) => problem("unsent", request(row), places.get(row) ?? [], arrived)),
  ];
  const kinds = figuresOf(sent);
  const all = Object.values(kinds);
  const ms = (sent.at.at(-1) ?? 0) - (sent.at[0] ?? 0);
  const verdict = {
    kinds,
    sent: sent.at.length,
    failed: all.reduce((sum, { failed }) => sum + failed, 0),
    perSecond: Math.round((sent.at.length - 1) * 1_000 / ms) || 0,
    problems,
  };
  return {
    ...verdict,
    routedTo: (instance, from, to = Infinity) =>
      Array.from(places).flatMap(([row, at]) => {
        const one = request(row);
        const there = at.some((place) =>
          arrived.instances[arrived.instance[place] ?? -1]?.id === instance &&
          arrived.origin + (arrived.at[place] ?? 0) < to
        );
        return there && one.at >= from ? [one] : [];
      }),
    okSince: (at) => {
      const row = sent.at.findIndex((ms, row) =>
        ms + sent.origin >= at && sent.outcomes[sent.outcome[row] ?? -1] === OK
      );
      return row < 0 ? undefined : request(row).at;
    },
    text: textOf(verdict, sent.origin),
  };
}

/** By row of what was sent, the rows of its arrivals. What belongs to other traffic is left out. */
function placesOf({ base }: Sent, { id }: Arrived): Map<number, readonly number[]> {
  const places = new Map<number, readonly number[]>();
  id.forEach((number, place) => {
    const row = number - base;
    if (row < 0 || row >= MOST_REQUESTS) return;
    const others = places.get(row);
    places.set(row, others ? [...others, place] : [place]);
  });
  return places;
}

function problemsOf(request: SentRequest, places: readonly number[], arrived: Arrived): readonly Problem[] {
  const { outcome, service } = request;
  const isFailure = outcome !== OK && outcome !== LEFT;
  const isMisrouted = places.some((place) => {
    const at = arrived.instances[arrived.instance[place] ?? -1];
    return !at || !means(service, at.service, `v${at.version}`);
  });
  return [
    ...isFailure ? ["failed" as const] : [],
    // One that was left may have been so before it got anywhere.
    ...outcome === OK && places.length === 0 ? ["lost" as const] : [],
    ...places.length > 1 ? ["doubled" as const] : [],
    ...isMisrouted ? ["misrouted" as const] : [],
  ].map((what) => problem(what, request, places, arrived));
}

function problem(
  what: Problem["what"],
  request: SentRequest,
  places: readonly number[],
  { instances, instance }: Arrived,
): Problem {
  return { what, request, instances: places.map((place) => instances[instance[place] ?? -1]?.id ?? "") };
}

function requestOf(sent: Sent, details: ReadonlyMap<number, string>, row: number): SentRequest {
  const at = sent.at[row];
  return {
    id: sent.base + row,
    kind: KINDS[sent.kind[row] ?? -1] ?? "",
    service: sent.services[sent.service[row] ?? -1] ?? "",
    outcome: sent.outcomes[sent.outcome[row] ?? -1] ?? "",
    detail: details.get(row) ?? "",
    at: at === undefined ? 0 : sent.origin + at,
    tookMs: sent.took[row] ?? 0,
  };
}

function figuresOf(sent: Sent): Verdict["kinds"] {
  const rowsOf = Map.groupBy(sent.at.keys(), (row) => sent.kind[row] ?? -1);
  return Object.fromEntries(KINDS.flatMap((kind, number) => {
    const rows = rowsOf.get(number);
    return rows ? [[kind, kindFigures(sent, rows)]] : [];
  }));
}

function kindFigures({ kind, outcomes, outcome, took, resent }: Sent, rows: readonly number[]): KindFigures {
  const ended = (as: string) => rows.filter((row) => outcomes[outcome[row] ?? -1] === as);
  const [ok, left] = [ended(OK), ended(LEFT).length];
  const { p50, p99 } = spread(ok.map((row) => took[row] ?? NaN));
  return {
    sent: rows.length,
    ok: ok.length,
    failed: rows.length - ok.length - left,
    left,
    resent: resent.reduce((sum, [row, times]) => kind[row] === kind[rows[0] ?? -1] ? sum + times : sum, 0),
    p50,
    p99,
  };
}

const SHOWN = 20;

function textOf(
  { kinds, sent, failed, perSecond, problems }: Omit<Verdict, "text" | "routedTo" | "okSince">,
  origin: number,
) {
  const rows = Object.entries(kinds).map(([kind, { p50, p99, ...counts }]) =>
    [kind, ...Object.entries(counts).map(([name, count]) => `${name} ${count}`), ms("p50", p50), ms("p99", p99)].join(
      ", ",
    )
  );
  const shown = problems.slice(0, SHOWN).map((
    { what, instances, request: { id, kind, service, outcome, detail, at } },
  ) =>
    [
      `${what}: ${kind} request ${id} for ${service}`,
      `sent after ${((at - origin) / 1_000).toFixed(3)} s: ${outcome}${detail && ` (${detail})`}`,
      `arrived at ${instances.join(" and ") || "no instance"}`,
    ].join(", ")
  );
  const more = problems.length > SHOWN ? [`and ${problems.length - SHOWN} more`] : [];
  return [`${sent} requests, ${failed} failed, ${perSecond}/s`, ...rows, ...shown, ...more].join("\n");
}

function ms(name: string, value: number): string {
  return `${name} ${value.toPrecision(3)} ms`;
}

/** What HAProxy has counted, as its `show stat` says it: CSV whose first line names the columns. Pure. */

import { columnsOf } from "../haproxy/columns.ts";

/** Numbers that are read, under HAProxy's names. */
export const FIGURES = [
  ...["scur", "qcur", "stot", "bin", "bout", "dreq", "ereq", "intercepted"] as const,
  ...["econ", "eresp", "wretr", "wredis"] as const,
  ...["hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_5xx"] as const,
  ...["qtime", "ctime", "rtime", "ttime", "qtime_max", "ctime_max", "rtime_max", "ttime_max"] as const,
] as const;

export type Figure = (typeof FIGURES)[number];

/** Where each stands among {@link FIGURES}. */
export const AT = Object.fromEntries(FIGURES.map((figure, at) => [figure, at])) as Readonly<Record<Figure, number>>;

export interface StatRow {
  readonly of: "frontend" | "backend" | "server";
  /** The frontend or backend. */
  readonly proxy: string;
  /** The server's name; of the others HAProxy's word for what they are. */
  readonly name: string;
  /** By {@link AT}; what does not apply is 0. */
  readonly figures: readonly number[];
}

/** Reads all rows; throws where it is no such text. */
export function parseStatRows(csv: string): readonly StatRow[] {
  const headEnd = lineEnd(csv, 0);
  const wanted = wantedColumns(csv.slice(0, headEnd));
  const rows: StatRow[] = [];
  for (let at = headEnd + 1; at < csv.length;) {
    const end = lineEnd(csv, at);
    const row = parseRow(csv, at, end, wanted);
    if (row) rows.push(row);
    at = end + 1;
  }
  return rows;
}

const TEXTS = ["pxname", "svname", "type"] as const;
const TYPES: Readonly<Record<string, StatRow["of"]>> = { 0: "frontend", 1: "backend", 2: "server" };
const COMMA = 44;
const QUOTE = 34;

/** By column: its place among the texts and figures, or -1; up to the last that is read. */
function wantedColumns(head: string): Int8Array {
  const places = [...TEXTS, ...FIGURES].map(columnsOf(head, ","));
  const wanted = new Int8Array(Math.max(...places) + 1).fill(-1);
  for (const [place, at] of places.entries()) wanted[at] = place;
  return wanted;
}

/** Character by character: to split a row makes five texts for each that is read. */
function parseRow(csv: string, from: number, end: number, wanted: Int8Array): StatRow | undefined {
  const texts = ["", "", ""];
  const figures = new Array<number>(FIGURES.length).fill(0);
  let [column, start, quoted] = [0, from, false];
  for (let at = from; at <= end && column < wanted.length; at++) {
    const character = at < end ? csv.charCodeAt(at) : COMMA;
    if (character === QUOTE) quoted = !quoted;
    if (character !== COMMA || (quoted && at < end)) continue;
    const place = wanted[column++] as number;
    if (place >= TEXTS.length) figures[place - TEXTS.length] = Number(csv.slice(start, at)) || 0;
    else if (place >= 0) texts[place] = csv.slice(start, at);
    start = at + 1;
  }
  const [proxy = "", name = "", type = ""] = texts;
  const of = TYPES[type];
  return of && { of, proxy, name, figures };
}

function lineEnd(text: string, from: number): number {
  const at = text.indexOf("\n", from);
  return at < 0 ? text.length : at;
}

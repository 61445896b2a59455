/** Tables that share a screen: none wider than it, each with its part of the lines. Pure. */
import { table } from "./table.ts";

/** Names are worth nothing below that. */
const LEAST = 8;

/** Lines of a table that fits into so many columns: where it is too wide, cells of `shortened` are cut, in this order. */
export function fitted(rows: readonly (readonly string[])[], columns: number, shortened: readonly number[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [at, cell] of row.entries()) widths[at] = Math.max(widths[at] ?? 0, [...cell].length);
  }
  let excess = widths.reduce((sum, width) => sum + width + 2, -2) - columns;
  const limits = widths.map(() => Infinity);
  for (const at of shortened) {
    const width = widths[at] ?? 0;
    limits[at] = Math.max(Math.min(width, LEAST), width - Math.max(0, excess));
    excess -= width - limits[at];
  }
  return table(rows.map((row) => row.map((cell, at) => shorten(cell, limits[at] ?? Infinity)))).trimEnd().split("\n");
}

/** Whether a table fits into so many columns as it is. */
export function fits(rows: readonly (readonly string[])[], columns: number): boolean {
  return fitted(rows, columns, []).every((line) => [...line].length <= columns);
}

/** What is shown of each part in so many lines: what one does not need the others get; the rest of each is counted. */
export function share(parts: readonly (readonly string[])[], lines: number): readonly (readonly string[])[] {
  const rooms = new Map<number, number>();
  let left = Math.max(0, lines);
  // The shortest first: what it leaves is for the longer ones.
  const order = [...parts.keys()].sort((a, b) => (parts[a]?.length ?? 0) - (parts[b]?.length ?? 0));
  for (const [at, part] of order.entries()) {
    const room = Math.min(parts[part]?.length ?? 0, Math.ceil(left / (order.length - at)));
    rooms.set(part, room);
    left -= room;
  }
  return parts.map((part, at) => cut(part, rooms.get(at) ?? 0));
}

function cut(lines: readonly string[], most: number): readonly string[] {
  if (lines.length <= most) return lines;
  return [...lines.slice(0, Math.max(0, most - 1)), `… ${lines.length - Math.max(0, most - 1)} more`];
}

function shorten(text: string, most: number): string {
  const characters = [...text];
  return characters.length <= most ? text : characters.slice(0, most - 1).join("") + "…";
}

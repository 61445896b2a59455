/** Rows as aligned plain text, one a line, two spaces between columns; widths are counted in code points. */
export function table(rows: readonly (readonly string[])[]): string {
  const plain = rows.map((row) => row.map(oneLine));
  const widths: number[] = [];
  for (const row of plain) {
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, [...cell].length);
  }
  const line = (row: readonly string[]) =>
    row.map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - [...cell].length)).join("  ").trimEnd() + "\n";
  return plain.map(line).join("");
}

/** Text from elsewhere as it may be printed: nothing in it moves the cursor or begins a line. */
export function oneLine(text: string): string {
  return text.replace(CONTROLS, " ");
}

// deno-lint-ignore no-control-regex -- they are what this is about
const CONTROLS = /[\x00-\x1f\x7f-\x9f\u2028\u2029]+/g;

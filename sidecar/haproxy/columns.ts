/** A table that HAProxy shows did not come with a column that is read: another HAProxy may name it otherwise. */
export class NoColumn extends Error {
  override readonly name = "NoColumn";
}

/**
 * Where the columns of a table stand, by name, as its first line says. Throws {@link NoColumn} where there is none: what
 * is not there would else count as 0.
 */
export function columnsOf(header: string, between: "," | " "): (name: string) => number {
  const columns = header.replace(/^# /, "").split(between);
  return (name) => {
    const at = columns.indexOf(name);
    if (at < 0) throw new NoColumn(`Cannot read what HAProxy shows: expected a column "${name}"`);
    return at;
  };
}

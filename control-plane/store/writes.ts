/** What every store asks of a commit's writes before it looks at its data. */
import type { Write } from "./store.ts";

/** What is wrong with `writes`, as a reason to refuse them; `undefined` for good ones. */
export function writesProblem(writes: readonly Write[]): string | undefined {
  if (writes.length === 0) return "Cannot commit: expected at least one write";
  const keys = new Set<string>();
  for (const { key } of writes) {
    // Both would come back from SQLite as other keys than those that were written.
    if (!key.isWellFormed() || key.includes("\0")) {
      return `Cannot write key ${JSON.stringify(key)}: expected Unicode text without NUL`;
    }
    if (keys.has(key)) return `Cannot write key ${JSON.stringify(key)}: expected it once in a commit`;
    keys.add(key);
  }
  return undefined;
}

/** About what `writes` take in memory, in bytes. */
export function writesSize(writes: readonly Write[]): number {
  return writes.reduce((sum, { key, value }) => sum + PER_WRITE + 2 * key.length + (value?.length ?? 0), 0);
}

const PER_WRITE = 64;

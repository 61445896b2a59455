/** What every store asks of a commit's writes before it looks at its data. */
import type { Sweep, Write } from "./store.ts";

/** What is wrong with `writes`, as a reason to refuse them; `undefined` for good ones. */
export function writesProblem(writes: readonly (Write | Sweep)[]): string | undefined {
  if (writes.length === 0) return "Cannot commit: expected at least one write";
  const keys = new Set<string>();
  const sweeps: string[] = [];
  for (const write of writes) {
    const name = isSweep(write) ? write.prefix : write.key;
    // Both would come back from SQLite as other keys than those that were written.
    if (!name.isWellFormed() || name.includes("\0")) {
      return `Cannot write key ${JSON.stringify(name)}: expected Unicode text without NUL`;
    }
    if (isSweep(write)) sweeps.push(name);
    else if (keys.size === keys.add(name).size) return writtenTwice(name);
  }
  return sweeps.length === 0 ? undefined : overlap(sweeps, keys);
}

export function isSweep(write: Write | Sweep): write is Sweep {
  return "prefix" in write;
}

/** About what `writes` take in memory, in bytes. */
export function writesSize(writes: readonly (Write | Sweep)[]): number {
  return writes.reduce((sum, write) => sum + PER_WRITE + (isSweep(write) ? 0 : writeSize(write)), 0);
}

const PER_WRITE = 64;

function writeSize({ key, value }: Write): number {
  return 2 * key.length + (value?.length ?? 0);
}

function overlap(sweeps: readonly string[], keys: ReadonlySet<string>): string | undefined {
  for (const [at, prefix] of sweeps.entries()) {
    const twice = [...keys, ...sweeps.slice(0, at)].find((other) => other.startsWith(prefix)) ??
      sweeps.slice(0, at).find((other) => prefix.startsWith(other));
    if (twice !== undefined) return writtenTwice(twice);
  }
  return undefined;
}

function writtenTwice(name: string): string {
  return `Cannot write key ${JSON.stringify(name)}: expected it once in a commit`;
}

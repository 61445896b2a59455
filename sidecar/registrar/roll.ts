/** Who is to be on the map, by the files of a folder: each file's newest good form. */
import { decodeServiceFile, type ServiceFile } from "./service_file.ts";

/** A file that can be used. */
export interface Entry {
  /** The file's name. */
  readonly name: string;
  /** What stands in it. */
  readonly text: string;
  readonly file: ServiceFile;
}

/** By the file's name. */
export type Roll = ReadonlyMap<string, Entry>;

/** What was found under a file's name. */
export type Found =
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "unreadable"; readonly reason: string };

/** A file that cannot be used as it is, and what is to be done about it. */
export interface FileProblem {
  readonly file: string;
  readonly reason: string;
}

/** What tells an instance from all others of the realm. */
export function keyOf({ service, id }: Pick<ServiceFile, "service" | "id">): string {
  return `${service}/${id}`;
}

/**
 * The roll after a look at the folder. A file that cannot be used keeps the form that it had before. Of two files with
 * the same instance the one has it that had it before, else the first by name.
 */
export function callRoll(
  before: Roll,
  found: ReadonlyMap<string, Found>,
): { roll: Roll; problems: readonly FileProblem[] } {
  const problems: FileProblem[] = [];
  const [staying, coming]: [Entry[], Entry[]] = [[], []];
  for (const name of [...found.keys()].sort()) {
    const entry = entryOf(name, found.get(name) as Found);
    const had = before.get(name);
    if (!("reason" in entry)) (had && keyOf(had.file) === keyOf(entry.file) ? staying : coming).push(entry);
    else {
      problems.push(entry);
      if (had) staying.push(had);
    }
  }
  const roll = new Map(staying.map((entry) => [entry.name, entry]));
  const holders = new Map(staying.map(({ name, file }) => [keyOf(file), name]));
  for (const entry of coming) {
    const { name, file: { service, id } } = entry;
    const holder = holders.get(keyOf(entry.file));
    const had = before.get(name);
    if (holder !== undefined) {
      const reason =
        `"service" "${service}" with "id" "${id}": "${holder}" says the same; give one of them another "id"`;
      problems.push({ file: name, reason });
    }
    const used = holder === undefined ? entry : had && !holders.has(keyOf(had.file)) ? had : undefined;
    if (!used) continue;
    roll.set(name, used);
    holders.set(keyOf(used.file), name);
  }
  return { roll, problems: problems.sort((a, b) => a.file < b.file ? -1 : 1) };
}

function entryOf(name: string, found: Found): Entry | FileProblem {
  if (found.kind === "unreadable") return { file: name, reason: found.reason };
  const decoded = decodeServiceFile(name, found.bytes);
  if (decoded.kind === "bad") return { file: name, reason: decoded.reason };
  return { name, text: new TextDecoder().decode(found.bytes), file: decoded.file };
}

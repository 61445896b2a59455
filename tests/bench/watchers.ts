/**
 * Many watchers, each on a connection of its own, in a process of their own: a line for each update that the last of
 * them has got. Arguments: `map` or `bare`, the address, how many.
 */
import { type Costs, Program, record } from "./program.ts";
import { watchBare, watchMap } from "./watch.ts";

export interface Watchers extends AsyncDisposable, Costs {
  /** Resolves when the last watcher has the next update. */
  last(): Promise<void>;
}

/** Starts them; answers when all watch. */
export async function startWatchers(kind: "map" | "bare", address: string, count: number): Promise<Watchers> {
  const program = Program.deno("tests/bench/watchers.ts", kind, address, `${count}`);
  await program.next((line) => record(line, "watching"));
  return {
    last: async () => void await program.next((line) => record(line, "all")),
    cpuMs: () => program.cpuMs(),
    memoryMb: () => program.memoryMb(),
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

async function main(kind: string, address: string, count: number): Promise<void> {
  let have = 0;
  let updates = 0;
  let watching = false;
  const got = () => {
    // One update is under way at a time: nobody gets a second one before the last has got the first.
    if (!watching || ++have < count) return;
    have = 0;
    print({ all: ++updates });
  };
  for (let i = 0; i < count; i++) {
    if (kind === "bare") await watchBare(address, got);
    // Bookmarks say nothing new.
    else await watchMap(address, [], ({ part }) => part?.set.length && got());
  }
  watching = true;
  print({ watching: count });
}

const encoder = new TextEncoder();

function print(line: object): void {
  Deno.stdout.writeSync(encoder.encode(`${JSON.stringify(line)}\n`));
}

if (import.meta.main) {
  const [kind = "", address = "", count] = Deno.args;
  await main(kind, address, Number(count));
}

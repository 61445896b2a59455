/** A process of a bench: its lines as they come; ended when it is disposed of. */
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** What a process has cost so far. */
export interface Costs {
  /** Processor time, in ms. On a machine that others use too, it tells more than the clock on the wall. */
  cpuMs(): number;
  /** Memory that is its own or shared, in MB (10^6 bytes). */
  memoryMb(): number;
}

/** Linux counts processor time in hundredths of a second for all programs. */
const TICK_MS = 10;

type Waiting = { take(line: string): boolean; fail(error: Error): void };

export class Program implements AsyncDisposable, Costs {
  readonly #child: Deno.ChildProcess;
  readonly #waiting = new Set<Waiting>();
  readonly #last: string[] = [];
  readonly #ended: Promise<void>;

  private constructor(name: string, child: Deno.ChildProcess) {
    this.#child = child;
    this.#ended = Promise.all([this.#read(child.stdout), this.#read(child.stderr)]).then(() => {
      const error = new Error(`Cannot go on: ${name} ended after "${this.#last.join("\n")}"`);
      for (const one of this.#waiting) one.fail(error);
    });
  }

  static start(command: string, args: readonly string[], cwd: string = ROOT): Program {
    const child = new Deno.Command(command, { args: [...args], cwd, stdout: "piped", stderr: "piped" }).spawn();
    return new Program([command, ...args].join(" "), child);
  }

  /** Starts a TypeScript file of the repository, named by its path from the root. */
  static deno(file: string, ...args: readonly string[]): Program {
    return Program.start(Deno.execPath(), ["run", "-A", file, ...args]);
  }

  /** What `find` makes of the first line from now on that it makes something of. */
  next<T>(find: (line: string) => T | undefined): Promise<T> {
    return new Promise((resolve, fail) => {
      const waiting: Waiting = {
        take: (line) => {
          const found = find(line);
          if (found === undefined) return false;
          resolve(found);
          return this.#waiting.delete(waiting);
        },
        fail,
      };
      this.#waiting.add(waiting);
    });
  }

  cpuMs(): number {
    return costsOf(this.#child.pid).cpuMs();
  }

  memoryMb(): number {
    return costsOf(this.#child.pid).memoryMb();
  }

  /** Does not wait for anything. */
  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGTERM");
    } catch {
      // It has ended.
    }
    await Promise.all([this.#child.status, this.#ended]);
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      this.#last.push(...lines.slice(-5));
      this.#last.splice(0, this.#last.length - 5);
      if (this.#waiting.size === 0) continue;
      for (const line of lines) for (const one of [...this.#waiting]) one.take(line);
    }
  }
}

/** The costs of a process by its id, of all of its threads. */
export function costsOf(pid: number): Costs {
  return {
    cpuMs() {
      // Fields 14 and 15, proc(5); the second one may hold spaces, and ends with a parenthesis.
      const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ") ?? [];
      return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
    },
    memoryMb() {
      const text = Deno.readTextFileSync(`/proc/${pid}/status`);
      return Number(/VmRSS:\s+([0-9]+) kB/.exec(text)?.[1]) * 1_024 / 1e6;
    },
  };
}

/** The JSON object that a line is, if it has what `has` names. */
export function record(line: string, has: string): Record<string, unknown> | undefined {
  if (!line.startsWith("{")) return undefined;
  const value = JSON.parse(line);
  return has in value ? value : undefined;
}

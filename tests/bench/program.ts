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

export interface ProgramOptions {
  /** Default: the root of the repository. */
  readonly cwd?: string;
  /** Whether it has a session of its own, as the sidecar's HAProxy has: Linux shares the processor out by sessions. */
  readonly detached?: boolean;
}

type Waiting = { take(line: string): boolean; fail(error: Error): void };

const running = new Set<Program>();

export class Program implements AsyncDisposable, Costs {
  readonly #child: Deno.ChildProcess;
  readonly #waiting = new Set<Waiting>();
  readonly #last: string[] = [];
  readonly #ended: Promise<void>;

  private constructor(name: string, child: Deno.ChildProcess) {
    this.#child = child;
    running.add(this);
    void child.status.then(() => running.delete(this));
    this.#ended = Promise.all([this.#read(child.stdout), this.#read(child.stderr)]).then(() => {
      const error = new Error(`Cannot go on: ${name} ended after "${this.#last.join("\n")}"`);
      for (const one of this.#waiting) one.fail(error);
    });
  }

  static start(command: string, args: readonly string[], options: ProgramOptions = {}): Program {
    const child = new Deno.Command(command, {
      cwd: ROOT,
      ...options,
      args: [...args],
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    return new Program([command, ...args].join(" "), child);
  }

  /** Ends all that run, for when nobody is left to dispose of them. */
  static endAll(): void {
    for (const program of running) program.signal("SIGTERM");
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

  /** Does nothing to one that has ended. */
  signal(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch {
      // It has ended.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGTERM");
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

/** Programs of ours in processes of their own, as `./portolan` starts them, and what they log. */
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

export type LogLine = Readonly<Record<string, unknown>> & { readonly message: string };

export interface Program extends AsyncDisposable {
  readonly pid: number;
  /** Resolves with the first line that has this message; rejects when the program ends, or 30 s pass, without one. */
  logged(message: string): Promise<LogLine>;
  /** Everything that it wrote to standard error so far. */
  output(): string;
  /** Settles when it has ended by itself, or was ended. */
  readonly ended: Promise<Deno.CommandStatus>;
  /** Sends the signal and resolves with how the program ended. */
  end(signal: Deno.Signal): Promise<Deno.CommandStatus>;
}

/** Starts `entry` with the permission set `rights`, and `env` on top of this program's. Disposing ends it gently. */
export function start(
  entry: string,
  rights: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Program {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--cached-only", "--frozen", `-P=${rights}`, entry, ...args],
    cwd: ROOT,
    env,
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const lines = new Lines();
  const read = lines.read(child.stderr);
  const ended = Promise.all([child.status, read]).then(([status]) => status);
  const end = (signal: Deno.Signal) => {
    try {
      child.kill(signal);
    } catch {
      // It has ended already.
    }
    return ended;
  };
  return {
    pid: child.pid,
    logged: (message) => lines.first(message),
    output: () => lines.text,
    ended,
    end,
    [Symbol.asyncDispose]: async () => void await end("SIGTERM"),
  };
}

const START_MS = 30_000;

class Lines {
  text = "";
  readonly #seen: LogLine[] = [];
  readonly #waiting = new Set<{ message: string; found: (line: LogLine) => void; ended: (error: Error) => void }>();
  #over = false;

  async read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    let rest = "";
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
      this.text += chunk;
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) if (line.startsWith("{")) this.#take(JSON.parse(line));
    }
    this.#over = true;
    for (const { ended, message } of this.#waiting) ended(this.#missing(message));
  }

  first(message: string): Promise<LogLine> {
    const seen = this.#seen.find((line) => line.message === message);
    if (seen) return Promise.resolve(seen);
    if (this.#over) return Promise.reject(this.#missing(message));
    return new Promise((found, ended) => {
      const waiting = { message, found, ended };
      this.#waiting.add(waiting);
      // A test that hangs says nothing of why.
      const late = AbortSignal.timeout(START_MS);
      late.addEventListener("abort", () => this.#waiting.delete(waiting) && ended(this.#missing(message)));
    });
  }

  #take(line: LogLine): void {
    this.#seen.push(line);
    for (const waiting of this.#waiting) {
      if (waiting.message !== line.message) continue;
      this.#waiting.delete(waiting);
      waiting.found(line);
    }
  }

  #missing(message: string): Error {
    return new Error(`The program did not log "${message}":\n${this.text}`);
  }
}

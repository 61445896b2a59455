/** A process of a host: what it says, line by line, and its end. */
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export type LogLine = Readonly<Record<string, unknown>> & { readonly message: string };

export interface ChildOptions {
  /** Gets each line of standard output. */
  readonly onLine?: (line: string) => void;
}

interface Waiting {
  readonly message: string;
  readonly found: (line: LogLine) => void;
  readonly ended: (error: Error) => void;
}

/** What has not logged what it is to log by then does not. */
const LOGS_WITHIN_MS = 30_000;

export class Child implements AsyncDisposable {
  readonly #name: string;
  readonly #process: Deno.ChildProcess;
  readonly #read: Promise<unknown>;
  readonly #logged: LogLine[] = [];
  readonly #waiting = new Set<Waiting>();
  #text = "";
  #over = false;

  /** Starts it in the root of the repository. */
  constructor(command: string, args: readonly string[], { onLine = () => {} }: ChildOptions = {}) {
    this.#name = [command, ...args].join(" ");
    const streams = { stdin: "null", stdout: "piped", stderr: "piped" } as const;
    this.#process = new Deno.Command(command, { args: [...args], cwd: ROOT, ...streams }).spawn();
    const stderr = eachLine(this.#process.stderr, (line) => this.#hear(line));
    this.#read = Promise.all([eachLine(this.#process.stdout, onLine), stderr]).then(() => this.#fail());
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Everything that it wrote to standard error so far. */
  get output(): string {
    return this.#text;
  }

  /** The first line that has this message; rejects when the process ends, or 30 s pass, without one. */
  logged(message: string): Promise<LogLine> {
    const logged = this.#logged.find((line) => line.message === message);
    if (logged) return Promise.resolve(logged);
    if (this.#over) return Promise.reject(this.#missing(message));
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => waiting.ended(this.#missing(message)), LOGS_WITHIN_MS);
      const settle = () => {
        clearTimeout(late);
        this.#waiting.delete(waiting);
      };
      const found = (line: LogLine) => (settle(), resolve(line));
      const waiting: Waiting = { message, found, ended: (error) => (settle(), reject(error)) };
      this.#waiting.add(waiting);
    });
  }

  /** Sends the signal, and resolves with how the process ended once all that it said is read. */
  async end(signal: Deno.Signal): Promise<Deno.CommandStatus> {
    try {
      this.#process.kill(signal);
    } catch {
      // It has ended.
    }
    const status = await this.#process.status;
    await this.#read;
    return status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGTERM");
  }

  #hear(line: string): void {
    this.#text += `${line}\n`;
    if (!line.startsWith("{")) return;
    const logged: LogLine = JSON.parse(line);
    this.#logged.push(logged);
    for (const { message, found } of [...this.#waiting]) if (message === logged.message) found(logged);
  }

  #fail(): void {
    this.#over = true;
    for (const { message, ended } of [...this.#waiting]) ended(this.#missing(message));
  }

  #missing(message: string): Error {
    return new Error(`"${this.#name}" did not log "${message}":\n${this.#text}`);
  }
}

/** Starts a file of the repository on a host, with a permission set of deno.json, as `./portolan` does. */
export function startDeno(
  host: { start(program: string, args: readonly string[], options?: ChildOptions): Child },
  [entry, rights]: readonly [entry: string, rights: string],
  args: readonly string[],
  options?: ChildOptions,
): Child {
  const run = ["run", "--quiet", "--cached-only", "--frozen", `-P=${rights}`, entry];
  return host.start(Deno.execPath(), [...run, ...args], options);
}

async function eachLine(stream: ReadableStream<Uint8Array<ArrayBuffer>>, take: (line: string) => void): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
  }
  if (rest !== "") take(rest);
}

/** Where access lines go. Whoever takes them too slowly, or not at all, costs lines and nothing else. */
import type { Log } from "../../proto/log.ts";

/** Lines that wait to be written, in bytes; what comes on top is dropped and counted. */
const MAX_WAITING = 1_048_576;

type Sink = Pick<Deno.FsFile, "write">;

/** Disposing it waits, half a second at most, for what is not written yet. */
export class AccessLog implements AsyncDisposable {
  readonly #sink: Sink | undefined;
  readonly #log: Log;
  readonly #encoder = new TextEncoder();
  #waiting: string[] = [];
  #size = 0;
  #dropped = 0;
  #failed = false;
  #writing: Promise<void> | undefined;

  /** Without a sink nothing is written. */
  constructor(sink: Sink | undefined, log: Log) {
    this.#sink = sink;
    this.#log = log;
  }

  /** Whether anybody wants lines at all. */
  get isOn(): boolean {
    return this.#sink !== undefined;
  }

  /** Lines that nobody took. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes a line, without its end. */
  add(line: string): void {
    if (!this.#sink) return;
    if (this.#size + line.length > MAX_WAITING) {
      this.#dropped++;
      return;
    }
    this.#waiting.push(line);
    this.#size += line.length + 1;
    this.#writing ??= this.#write();
  }

  /** Writes what waits, as far as that goes at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    let late: ReturnType<typeof setTimeout> | undefined;
    const patience = new Promise<void>((resolve) => late = setTimeout(resolve, FAREWELL_MS));
    await Promise.race([this.#writing, patience]);
    clearTimeout(late);
  }

  async #write(): Promise<void> {
    // Lines that come in one turn are written at once.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const lines = this.#waiting;
      const bytes = this.#encoder.encode(lines.join("\n") + "\n");
      this.#waiting = [];
      try {
        for (let at = 0; at < bytes.length;) at += await (this.#sink as Sink).write(bytes.subarray(at));
        this.#failed = false;
      } catch (error) {
        this.#dropped += lines.length;
        if (!this.#failed) this.#log.error("Cannot write the access log: dropping lines", { reason: error });
        this.#failed = true;
      }
      this.#size = this.#waiting.reduce((sum, line) => sum + line.length + 1, 0);
    }
    this.#writing = undefined;
  }
}

const FAREWELL_MS = 500;

/** Opens what `--access-log` names: a file that is appended to, `-` for standard output, `off` for nothing. Throws if the file cannot be. */
export async function openAccessLog(name: string, log: Log): Promise<AccessLog> {
  if (name === "off") return new AccessLog(undefined, log);
  if (name === "-") return new AccessLog(Deno.stdout, log);
  try {
    return new AccessLog(await Deno.open(name, { append: true, create: true, mode: 0o640 }), log);
  } catch (error) {
    throw new Error(`Cannot open "${name}" (--access-log): ${(error as Error).message}`);
  }
}

/** A connection of a sender, which reads text of one character for each byte, and does not wait for ever. */
import { Cut } from "./outcome.ts";

/** Something that has to happen by a time. */
export interface Due {
  /** By `performance.now()`. */
  deadline: number;
  late(): void;
}

const SWEEP_MS = 50;

/** Looks now and then who is late: cheaper than a timer for each request. */
export class Watchdog implements Disposable {
  readonly #all = new Set<Due>();
  readonly #timer = setInterval(() => this.#sweep(), SWEEP_MS);

  watch(due: Due): void {
    this.#all.add(due);
  }

  forget(due: Due): void {
    this.#all.delete(due);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #sweep(): void {
    const now = performance.now();
    for (const due of this.#all) if (due.deadline < now) due.late();
  }
}

export interface Where {
  readonly port: number;
  /** Silence of so many ms is too long. */
  readonly timeoutMs: number;
  readonly watchdog: Watchdog;
}

export class Wire implements Due, Disposable {
  /** What was received and is not used yet. */
  rest = "";
  deadline = Infinity;
  readonly #buffer = Buffer.allocUnsafe(16_384);
  #ahead: Promise<void> | undefined;
  #cut: Cut | undefined;
  #closed = false;

  private constructor(
    private readonly connection: Deno.TcpConn,
    private readonly watchdog: Watchdog,
    private readonly silenceMs: number,
  ) {
    connection.setNoDelay();
    watchdog.watch(this);
  }

  /** Throws `Cut`. Once it is open, silence of `silenceMs` is too long where something is expected. */
  static async open(where: Where, silenceMs = where.timeoutMs): Promise<Wire> {
    const stop = new AbortController();
    const due = { deadline: performance.now() + where.timeoutMs, late: () => stop.abort() };
    where.watchdog.watch(due);
    try {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: where.port, signal: stop.signal });
      return new Wire(connection, where.watchdog, silenceMs);
    } catch (error) {
      throw stop.signal.aborted ? new Cut("timeout") : cutBy(error);
    } finally {
      where.watchdog.forget(due);
    }
  }

  /** Whether the other end has neither ended nor said anything since `listen`. */
  get isQuiet(): boolean {
    return this.#cut === undefined && this.rest === "";
  }

  /** Sends everything. That it cannot shows when an answer is read: there may be one all the same. */
  async write(bytes: Uint8Array): Promise<void> {
    this.deadline = performance.now() + this.silenceMs;
    try {
      for (let at = 0; at < bytes.length;) at += await this.connection.write(bytes.subarray(at));
    } catch {
      // As is said above.
    }
  }

  /** Reads some more into `rest`. Throws `Cut`, also when nothing comes for too long. */
  async more(): Promise<void> {
    this.deadline = performance.now() + this.silenceMs;
    await (this.#ahead ?? this.#read());
    this.#ahead = undefined;
    if (this.#cut) throw this.#cut;
  }

  /** Nothing is expected for now: notices when the connection ends meanwhile. */
  listen(): void {
    this.deadline = Infinity;
    this.#ahead ??= this.#read();
  }

  late(): void {
    this.cut(new Cut("timeout"));
  }

  /** Who reads is told so. */
  cut(cut: Cut): void {
    this.#cut ??= cut;
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.watchdog.forget(this);
    this.connection.close();
  }

  async #read(): Promise<void> {
    try {
      const count = await this.connection.read(this.#buffer);
      if (count === null) this.#cut ??= new Cut("eof");
      else this.rest += this.#buffer.toString("latin1", 0, count);
    } catch (error) {
      this.#cut ??= this.#closed ? new Cut("left") : cutBy(error);
    }
  }
}

function cutBy(error: unknown): Cut {
  if (error instanceof Deno.errors.ConnectionRefused) return new Cut("refused");
  return new Cut("reset", (error as Error).message);
}

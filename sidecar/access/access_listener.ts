/** Hears of what has ended: HAProxy's workers connect and send a line for each. */
import type { Log } from "../../proto/log.ts";
import { type Ended, parseEnded } from "./ended.ts";

/** A line is at most as long as HAProxy's ring takes. */
const MAX_LINE = 16_384;

export interface AccessListenerOptions {
  /** Of the socket; one that is there is a leftover. */
  readonly path: string;
  readonly log: Log;
  readonly onEnded: (ended: Ended) => void;
}

/** Listens until disposed. Lines of several workers come over a connection each. */
export class AccessListener implements AsyncDisposable {
  readonly #options: AccessListenerOptions;
  readonly #listener: Deno.Listener;
  readonly #connections = new Map<Deno.Conn, Promise<void>>();
  readonly #accepting: Promise<void>;

  private constructor(options: AccessListenerOptions) {
    this.#options = options;
    this.#listener = Deno.listen({ transport: "unix", path: options.path });
    this.#accepting = this.#accept();
  }

  static async listen(options: AccessListenerOptions): Promise<AccessListener> {
    await Deno.remove(options.path).catch(ignoreMissing);
    const listener = new AccessListener(options);
    await Deno.chmod(options.path, 0o600);
    return listener;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#connections.keys()) close(connection);
    await this.#accepting;
    await Promise.all(this.#connections.values());
    await Deno.remove(this.#options.path).catch(ignoreMissing);
  }

  async #accept(): Promise<void> {
    try {
      for await (const connection of this.#listener) {
        const read = this.#read(connection).finally(() => {
          close(connection);
          this.#connections.delete(connection);
        });
        this.#connections.set(connection, read);
      }
    } catch (error) {
      this.#options.log.error("Nobody hears of requests that have ended", { reason: error });
    }
  }

  async #read(connection: Deno.Conn): Promise<void> {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(65_536);
    let rest = "";
    try {
      for (;;) {
        const count = await connection.read(buffer);
        if (count === null) return;
        const lines = (rest + decoder.decode(buffer.subarray(0, count), { stream: true })).split("\n");
        rest = lines.pop() ?? "";
        if (rest.length > MAX_LINE) rest = "";
        for (const line of lines) this.#hear(line);
      }
    } catch {
      // The worker has ended, or we have.
    }
  }

  #hear(line: string): void {
    // HAProxy also says here which of its proxies stops, and which server is in maintenance now.
    if (!line.startsWith("{")) return;
    const ended = parseEnded(line);
    if (ended) this.#options.onEnded(ended);
    else this.#options.log.warn("HAProxy says what is no line about a request", { line: line.slice(0, 200) });
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}

function ignoreMissing(error: unknown): void {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

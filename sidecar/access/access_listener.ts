/**
 * Hears of what has ended: HAProxy's workers, old ones too, send a datagram with a line for each. Nothing waits for it:
 * what is sent while nobody listens, or faster than it is taken, is lost. (A ring with a server, HAProxy's other way,
 * connects over and over while nobody listens, for half a core, and is silent about what ends in an old worker.)
 */
import type { Log } from "../../proto/log.ts";
import { sleep } from "../../proto/sleep.ts";
import { removeFile } from "../disk.ts";
import { type Ended, parseEnded } from "./ended.ts";

export interface AccessListenerOptions {
  /** Of the socket; one that is there is a leftover. */
  readonly path: string;
  readonly log: Log;
  readonly onEnded: (ended: Ended) => void;
}

const PAUSE_MS = 1_000;

/** Listens until disposed. */
export class AccessListener implements AsyncDisposable {
  readonly #options: AccessListenerOptions;
  readonly #socket: Deno.DatagramConn;
  readonly #stop = new AbortController();
  readonly #decoder = new TextDecoder();
  readonly #hearing: Promise<void>;

  private constructor(options: AccessListenerOptions) {
    this.#options = options;
    this.#socket = Deno.listenDatagram({ transport: "unixpacket", path: options.path });
    this.#hearing = this.#hear();
  }

  /** Throws if it cannot listen there. */
  static async listen(options: AccessListenerOptions): Promise<AccessListener> {
    await removeFile(options.path);
    const listener = new AccessListener(options);
    await Deno.chmod(options.path, 0o600);
    return listener;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#socket.close();
    await this.#hearing;
    await removeFile(this.#options.path);
  }

  async #hear(): Promise<void> {
    const { log } = this.#options;
    // One for all: the runtime would make, and collect, another 64 KiB for each line.
    const buffer = new Uint8Array(65_536);
    while (!this.#stop.signal.aborted) {
      try {
        const [bytes] = await this.#socket.receive(buffer);
        this.#take(this.#decoder.decode(bytes));
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        log.error("Cannot hear of a request that has ended", { reason: error });
        await sleep(PAUSE_MS, this.#stop.signal);
      }
    }
  }

  #take(line: string): void {
    // HAProxy also says here which of its proxies stops, and which server is in maintenance now.
    if (!line.startsWith("{")) return;
    const ended = parseEnded(line);
    if (ended) this.#options.onEnded(ended);
    else this.#options.log.warn("HAProxy says what is no line about a request", { line: line.slice(0, 200) });
  }
}

/** HAProxy as a sidecar before this one has left it: no child of this process. */
import { sleep } from "../../proto/sleep.ts";
import type { DataFolder } from "./data_folder.ts";
import type { Running, Signal } from "./running.ts";
import { signalByHaproxy } from "./signal_by_haproxy.ts";
import { whoRuns } from "./who_runs.ts";

/** Where it cannot be told whether it runs. */
const LOOK_AGAIN_MS = 1_000;

export class Adopted implements Running {
  readonly ended: Running["ended"];
  readonly #data: DataFolder;
  readonly #released = new AbortController();
  #pid: number;

  /** `pid` is the master's. */
  constructor(data: DataFolder, pid: number) {
    this.#data = data;
    this.#pid = pid;
    this.ended = this.#watch();
  }

  get pid(): number {
    return this.#pid;
  }

  async signal(signal: Signal): Promise<void> {
    const found = await whoRuns(this.#data, this.#released.signal);
    // HAProxy sends the two gentle ones, and no other.
    if (found && signal !== "SIGKILL") await signalByHaproxy(this.#data, found.master, signal);
  }

  release(): void {
    this.#released.abort();
  }

  /** Nothing is asked over and over: a connection to the master ends with it, and when it begins anew. */
  async #watch(): Promise<Readonly<Record<string, unknown>>> {
    for (;;) {
      await hold(this.#data.masterSocket, this.#released.signal);
      try {
        const found = await whoRuns(this.#data, this.#released.signal, this.#pid);
        if (!found || this.#released.signal.aborted) return { pid: this.#pid };
        this.#pid = found.master;
      } catch {
        // Its workers run, or its folder is gone, or nobody wants to know any more.
        await sleep(LOOK_AGAIN_MS, this.#released.signal);
        if (this.#released.signal.aborted) return { pid: this.#pid };
      }
    }
  }
}

/** Connects, and waits until the connection ends. */
async function hold(path: string, signal: AbortSignal): Promise<void> {
  try {
    const line = await Deno.connect({ transport: "unix", path });
    const close = () => line.close();
    if (signal.aborted) return close();
    signal.addEventListener("abort", close, { once: true });
    await line.read(new Uint8Array(1)).finally(() => {
      signal.removeEventListener("abort", close);
      if (!signal.aborted) close();
    });
  } catch {
    // Nobody listens, or not any more.
  }
}

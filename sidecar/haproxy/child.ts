/** HAProxy as a process that this sidecar has started. */
import { CONFIG_FILE, MASTER_SOCKET } from "../config/names.ts";
import type { Running, Signal } from "./running.ts";

export class Child implements Running {
  readonly ended: Running["ended"];
  /** Settles when it has ended, and all that alarmed it has been told. */
  readonly heard: Promise<void>;
  readonly #process: Deno.ChildProcess;
  readonly #deaf = new AbortController();

  /** Starts it from the files that are in place in `folder`; `hear` is told what alarms it. */
  constructor(folder: string, hear: (alert: string) => void) {
    const args = ["-W", "-db", "-S", `unix@${MASTER_SOCKET},mode,600`, "-f", CONFIG_FILE];
    // In a process group of its own: Ctrl-C in a terminal is for the sidecar, which says what becomes of HAProxy.
    this.#process = new Deno.Command("haproxy", {
      args,
      cwd: folder,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
      detached: true,
    }).spawn();
    this.heard = tellAlerts(this.#process.stderr, hear, this.#deaf.signal);
    this.ended = this.#process.status.then(({ code, signal }) => ({ code, signal }));
  }

  get pid(): number {
    return this.#process.pid;
  }

  signal(signal: Signal): Promise<void> {
    try {
      this.#process.kill(signal);
    } catch {
      // It has ended.
    }
    return Promise.resolve();
  }

  release(): void {
    // What it says goes nowhere from here on, as after a sidecar that was killed: that does not disturb it.
    this.#deaf.abort();
    this.#process.unref();
  }
}

/** Tells what HAProxy is alarmed by. Notices are one per command. */
async function tellAlerts(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  tell: (alert: string) => void,
  signal: AbortSignal,
): Promise<void> {
  let rest = "";
  try {
    for await (const chunk of stream.pipeThrough(new TextDecoderStream(), { signal })) {
      const lines = (rest + chunk).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const [, alert] = /^\[ALERT\]\s+\([0-9]+\) : (.*)$/.exec(line) ?? [];
        if (alert !== undefined) tell(alert);
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** HAProxy as a supervised master and worker: started, told, reloaded, started again when it dies, stopped. */
import type { Log } from "../../proto/log.ts";
import type { Command } from "../routing/command.ts";
import type { DataFolder } from "./data_folder.ts";
import { CONFIG_FILE, MASTER_SOCKET } from "../config/print_egress.ts";
import { processes } from "./master.ts";
import type { Files } from "../config/print.ts";
import { sleep } from "../../proto/sleep.ts";
import { CommandSocket } from "./command_socket.ts";
import { command, deleteServers, requestsUnderWay, Unexpected, workerPid } from "./worker.ts";

/** Prints what shall run, for workers of a generation. */
export type Printer = (generation: number) => Files;

export interface HaproxyOptions {
  readonly data: DataFolder;
  readonly log: Log;
  /** HAProxy died and runs again, from its files. */
  readonly onRestart?: () => void;
  /** How long requests that are under way may take when HAProxy is stopped. */
  readonly graceMs?: number;
}

const READY_WITHIN_MS = 10_000;
const GRACE_MS = 5_000;
const TERMINATE_MS = 2_000;
const MAX_RESTART_DELAY_MS = 2_000;

export class Haproxy implements AsyncDisposable {
  readonly #data: DataFolder;
  readonly #log: Log;
  readonly #options: HaproxyOptions;
  readonly #stop = new AbortController();
  #child: Deno.ChildProcess | undefined;
  #supervised: Promise<void> = Promise.resolve();
  /** While HAProxy is being started again, which files it reads must be certain: others wait for this. */
  #up: Promise<void> = Promise.resolve();
  /** Of the files that are in place: what a restarted HAProxy runs. */
  #generation = 0;
  #workerPid = 0;
  #loads = 0;

  constructor(options: HaproxyOptions) {
    this.#data = options.data;
    this.#log = options.log;
    this.#options = options;
  }

  /** Of the current worker; 0 while there is none. */
  get workerPid(): number {
    return this.#workerPid;
  }

  /** Counts how often the files have been loaded: by the start, reloads, and restarts after HAProxy died. */
  get loads(): number {
    return this.#loads;
  }

  /** Checks and installs the files, and starts HAProxy. Throws with what HAProxy says if it does not run then. */
  async start(print: Printer): Promise<void> {
    const files = print(1);
    await this.#data.check(files.config);
    this.#data.install(files);
    this.#generation = 1;
    await this.#spawn();
    this.#supervised = this.#supervise();
  }

  /** Installs the files, then says `commands` to the worker. Throws `Unexpected` when they are not all done. */
  async update(print: Printer, commands: readonly Command[]): Promise<void> {
    await this.#up;
    this.#data.install(print(this.#generation));
    try {
      await command(this.#socket, commands);
    } catch (error) {
      throw error instanceof Unexpected ? error : new Unexpected((error as Error).message);
    }
  }

  /** Checks and installs the files, and has new workers started from them. If that fails, everything is as before. */
  async reload(print: Printer): Promise<void> {
    const generation = this.#generation + 1;
    const files = print(generation);
    await this.#data.check(files.config);
    await this.#up;
    const before = this.#data.installed;
    this.#data.install(files);
    this.#generation = generation;
    try {
      // A master that has died a moment ago, or dies now, is started again from these files.
      this.#signal("SIGUSR2");
      await this.#ready(this.#stop.signal);
    } catch (error) {
      if (before) this.#data.install(before);
      this.#generation = generation - 1;
      throw error;
    }
    await this.#data.removeSockets(generation);
  }

  /** Deletes servers in maintenance, those that have no connections any more; answers with them. */
  deleteServers(servers: Parameters<typeof deleteServers>[1]): ReturnType<typeof deleteServers> {
    return deleteServers(this.#socket, servers);
  }

  /** Takes no new connection, lets requests that are under way end, for a while, and ends. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    const child = this.#child;
    if (child) {
      const quiet = whenQuiet(this.#socket, this.#options.graceMs ?? GRACE_MS, () => this.#signal("SIGUSR1"));
      await Promise.race([quiet, child.status]);
      this.#signal("SIGTERM");
      if (!await endsWithin(child, TERMINATE_MS)) this.#signal("SIGKILL");
      await child.status;
      await quiet;
    }
    await this.#supervised;
    await this.#data.removeSockets();
  }

  get #socket(): string {
    return this.#data.workerSocket(this.#generation);
  }

  #signal(signal: Deno.Signal): void {
    try {
      this.#child?.kill(signal);
    } catch {
      // It has ended.
    }
  }

  /** Starts it from the files that are in place, and waits for the worker. */
  async #spawn(): Promise<void> {
    const args = ["-W", "-db", "-S", `unix@${MASTER_SOCKET},mode,600`, "-f", CONFIG_FILE];
    // In a process group of its own: Ctrl-C in a terminal is for the sidecar, which ends HAProxy in its own way.
    const child = new Deno.Command("haproxy", {
      args,
      cwd: this.#data.path,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
      detached: true,
    }).spawn();
    this.#child = child;
    const said = alerts(child.stderr, (alert) => this.#hear(alert));
    const ended = new AbortController();
    child.status.then(() => ended.abort());
    try {
      await this.#ready(AbortSignal.any([ended.signal, this.#stop.signal]));
    } catch (error) {
      this.#signal("SIGTERM");
      await child.status;
      this.#child = undefined;
      throw new Error(`Cannot start HAProxy: ${(await said) || (error as Error).message}`);
    }
  }

  #hear(alert: string): void {
    // That its worker is terminated when it is told to stop alarms nobody else.
    if (!this.#stop.signal.aborted) this.#log.warn("HAProxy says", { alert });
  }

  async #supervise(): Promise<void> {
    while (this.#child) {
      const { code, signal } = await this.#child.status;
      this.#child = undefined;
      this.#workerPid = 0;
      if (this.#stop.signal.aborted) return;
      this.#log.error("HAProxy ended: starting it again", { code, signal });
      this.#up = this.#restart();
      await this.#up;
    }
  }

  /** Tries until HAProxy runs, or is to stop. */
  async #restart(): Promise<void> {
    for (let failures = 0; !this.#stop.signal.aborted; failures++) {
      try {
        await this.#spawn();
        this.#log.info("HAProxy runs again", { workerPid: this.#workerPid });
        this.#options.onRestart?.();
        return;
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        this.#log.error("HAProxy does not start: trying again", { reason: error });
        await sleep(Math.min(50 * 2 ** failures, MAX_RESTART_DELAY_MS), this.#stop.signal);
      }
    }
  }

  /** Waits until the worker of this generation answers and the master counts it as current. */
  async #ready(signal: AbortSignal): Promise<void> {
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(READY_WITHIN_MS)]);
    for (let reason: unknown = "nobody listens"; !deadline.aborted;) {
      try {
        const pid = await workerPid(this.#socket);
        const { workers } = await processes(this.#data.masterSocket);
        if (workers.includes(pid)) {
          this.#workerPid = pid;
          this.#loads++;
          return;
        }
        reason = `process ${pid} is no current worker`;
      } catch (error) {
        reason = error;
      }
      await sleep(5, deadline);
      if (deadline.aborted) throw new Error(`Cannot reach the new worker: ${reason}`);
    }
    throw new Error("Cannot reach the new worker: stopped");
  }
}

/** Tells what HAProxy is alarmed by, and answers with the last of it when it has ended. Notices are one per command. */
async function alerts(stream: ReadableStream<Uint8Array<ArrayBuffer>>, tell: (alert: string) => void): Promise<string> {
  const last: string[] = [];
  let rest = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const [, alert] = /^\[ALERT\]\s+\([0-9]+\) : (.*)$/.exec(line) ?? [];
      if (alert === undefined) continue;
      tell(alert);
      last.push(alert);
      if (last.length > 8) last.shift();
    }
  }
  return last.join("; ");
}

/** Has the worker stop, and waits until no request is under way in it. */
async function whenQuiet(socketPath: string, withinMs: number, stop: () => void): Promise<void> {
  const deadline = AbortSignal.timeout(withinMs);
  try {
    // Connected before: a worker that stops takes no new connection, not for commands either.
    using socket = await CommandSocket.open(socketPath);
    stop();
    while (!deadline.aborted && await requestsUnderWay(socket) > 0) await sleep(20, deadline);
  } catch {
    stop();
  }
}

async function endsWithin(child: Deno.ChildProcess, ms: number): Promise<boolean> {
  const late = new AbortController();
  const ended = await Promise.race([child.status.then(() => true), sleep(ms, late.signal).then(() => false)]);
  late.abort();
  return ended;
}

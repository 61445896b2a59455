/** HAProxy as a supervised master and worker: started or adopted, told, reloaded, started again when it dies, stopped. */
import type { Log } from "../../proto/log.ts";
import type { Files } from "../config/print.ts";
import { TIMEOUTS } from "../config/print_base.ts";
import type { Command } from "../routing/command.ts";
import { Adopted } from "./adopted.ts";
import { Child } from "./child.ts";
import type { DataFolder } from "./data_folder.ts";
import { endHaproxy, terminate } from "./ending.ts";
import { failPoint } from "./fail_point.ts";
import { type Loading, ready, reloaded } from "./loading.ts";
import type { Processes } from "./master.ts";
import { refuseTaken } from "./new_ports.ts";
import { observe, type Observed } from "./observe.ts";
import { OldWorkers, type OldWorkerState } from "./old_workers.ts";
import { Restarts } from "./restarts.ts";
import type { Running } from "./running.ts";
import { connectFailures, statistics } from "./statistics.ts";
import { whoRuns } from "./who_runs.ts";
import { command, deleteServers, Unexpected, workerPid } from "./worker.ts";

/** Prints what shall run, for workers of a generation. */
export type Printer = (generation: number) => Files;

export interface HaproxyOptions {
  readonly data: DataFolder;
  readonly log: Log;
  /** Whether HAProxy ends with this program; else it goes on, and the next sidecar adopts it. */
  readonly stopWithSidecar: boolean;
  /** HAProxy died and runs again, from its files; or it does not, and `down` says why. */
  readonly onRestart?: () => void;
  /** How long requests that are under way may take when HAProxy is stopped. */
  readonly graceMs?: number;
  /** After which time HAProxy ends a worker that was replaced, as its files say. */
  readonly stopAfterMs?: number;
}

const GRACE_MS = 5_000;

export class Haproxy implements AsyncDisposable {
  readonly #data: DataFolder;
  readonly #log: Log;
  readonly #options: HaproxyOptions;
  readonly #oldWorkers: OldWorkers;
  readonly #stop = new AbortController();
  readonly #restarts: Restarts;
  #running: Running | undefined;
  #supervised: Promise<void> = Promise.resolve();
  /** Of the files that are in place: what a restarted HAProxy runs. */
  #generation = 0;
  /** None is used twice: of a reload that took too long a worker may still come. */
  #lastGeneration = 0;
  #workerPid = 0;
  #loads = 0;
  /** What has alarmed HAProxy since it was told something last. */
  #heard: string[] = [];

  constructor(options: HaproxyOptions) {
    this.#data = options.data;
    this.#log = options.log;
    this.#options = options;
    const { stopAfterMs = TIMEOUTS.stopAfterMs } = options;
    this.#oldWorkers = new OldWorkers({ masterSocket: this.#data.masterSocket, log: this.#log, stopAfterMs });
    this.#restarts = new Restarts({
      start: () => this.#spawn(),
      onFail: () => options.onRestart?.(),
      log: options.log,
      signal: this.#stop.signal,
    });
  }

  /** Of the current worker; 0 while there is none. */
  get workerPid(): number {
    return this.#workerPid;
  }

  /** Counts how often the files have been loaded: by the start, reloads, and restarts after HAProxy died. */
  get loads(): number {
    return this.#loads;
  }

  /** `undefined` while none runs. */
  get masterPid(): number | undefined {
    return this.#running?.pid;
  }

  /** Why HAProxy, which died, did not start when that was tried last; it is tried on. `undefined` while it runs. */
  get down(): string | undefined {
    return this.#restarts.down;
  }

  /** Whether the one that runs was started by a sidecar before this one. */
  get adopted(): boolean {
    return this.#running instanceof Adopted;
  }

  /** Requests and connections that HAProxy has cut, as they outlived the worker that had them. */
  get longStreamsCut(): number {
    return this.#oldWorkers.longStreamsCut;
  }

  /**
   * Checks and installs the files, and starts HAProxy, or has the one that runs in the folder go on from them. Throws
   * with what HAProxy says if it does not run by them then.
   */
  async start(print: Printer): Promise<void> {
    if (this.#running) return await this.reload(print);
    const found = await whoRuns(this.#data, this.#stop.signal);
    if (found) return await this.#takeOver(found, print);
    const files = print(1);
    await this.#data.check(files.config);
    refuseTaken(files.config.text, "");
    this.#data.install(files);
    await this.#data.sync();
    await this.#begin(1);
  }

  /** Starts HAProxy from the files that are in place, which are of `generation`. Throws as `start` does. */
  async startAsIs(generation: number): Promise<void> {
    if (await whoRuns(this.#data, this.#stop.signal)) throw new Error("Cannot start HAProxy: one runs already");
    await this.#data.checkInstalled();
    await this.#begin(generation);
  }

  /**
   * Takes over a HAProxy that a sidecar before this one has left, by the files of `generation` that are in place; answers
   * whether there was one. Throws if there is one that does not come to run these files: it goes on with what it runs,
   * and `start` can give it others.
   */
  async adopt(generation: number): Promise<boolean> {
    const found = await whoRuns(this.#data, this.#stop.signal);
    if (!found) return false;
    await this.#adopted(found, generation, async () => {
      const pid = await workerPid(this.#socket).catch(() => 0);
      if (found.workers.includes(pid)) {
        this.#workerPid = pid;
      } else {
        // The sidecar before was killed between the files and the reload. What the worker of the older files was told
        // since then is not written anywhere, so it is not asked for: the files are whole, and a worker made of them
        // runs what they say, whatever had been reached.
        await this.#reload();
      }
    });
    this.#log.info("Adopted the HAProxy that runs", { pid: found.master, workerPid: this.#workerPid, generation });
    return true;
  }

  /**
   * Installs the files, then says `commands` to the worker. No call waits for the files to be on disk, too: that is the
   * data folder's `sync`. Throws `Unexpected` when commands are not all done, `Down` while HAProxy does not start.
   */
  async update(print: Printer, commands: readonly Command[]): Promise<void> {
    await this.#restarts.settled();
    this.#data.install(print(this.#generation));
    try {
      await command(this.#socket, commands);
    } catch (error) {
      throw error instanceof Unexpected ? error : new Unexpected((error as Error).message);
    }
    failPoint("commands of an update");
  }

  /**
   * Checks and installs the files, and has new workers started from them. If that fails, everything is as before; it throws
   * `Down` while HAProxy does not start. When it resolves, no worker routes by other files any more.
   */
  async reload(print: Printer): Promise<void> {
    const generation = ++this.#lastGeneration;
    const files = print(generation);
    await this.#data.check(files.config);
    await this.#restarts.settled();
    const running = this.#data.installed;
    if (running) refuseTaken(files.config.text, running.config);
    const before = this.#generation;
    const undo = this.#data.install(files);
    this.#generation = generation;
    try {
      await this.#data.sync();
      // A master that has died a moment ago, or dies now, is started again from these files.
      await this.#reload();
    } catch (error) {
      undo();
      this.#generation = before;
      throw error;
    }
    failPoint("a reload");
    // It runs by these files now, whatever else fails.
    await this.#data.removeSockets(generation).catch((error) => {
      this.#log.warn("Cannot remove sockets of older workers", { reason: error });
    });
    failPoint("sockets of older workers");
    await this.#oldWorkers.settle();
  }

  /** While HAProxy is `down`: has it started from other files, of the same map; answers whether that was possible. */
  amend(print: (position: string) => Printer): boolean {
    const position = this.#data.installed?.position ?? "none";
    return this.#restarts.hurry(() => this.#data.install(print(position)(this.#generation)));
  }

  /** What the current worker runs. */
  observe(): Promise<Observed> {
    return observe(this.#socket);
  }

  /** What the current worker has counted: CSV, as HAProxy tells it. */
  statistics(): Promise<string> {
    return statistics(this.#socket);
  }

  /** How often each server of a backend could not be connected to, since files were loaded for the nth time. */
  async connectFailures(slot: string): Promise<{ worker: number; counts: ReadonlyMap<string, number> }> {
    const worker = this.#loads;
    return { worker, counts: await connectFailures(this.#socket, slot) };
  }

  /** The workers that were replaced and still have connections; as they were before, where that takes longer. */
  oldWorkers(withinMs?: number): Promise<readonly OldWorkerState[]> {
    return withinMs === undefined ? this.#oldWorkers.list() : this.#oldWorkers.listWithin(withinMs);
  }

  /** Deletes servers in maintenance, those that have no connections any more; answers with them. */
  deleteServers(servers: Parameters<typeof deleteServers>[1]): ReturnType<typeof deleteServers> {
    return deleteServers(this.#socket, servers);
  }

  /** Leaves HAProxy as it is; or has it take no new connection, lets requests end, for a while, and ends it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#oldWorkers[Symbol.dispose]();
    await this.#supervised;
    const running = this.#running;
    if (!this.#options.stopWithSidecar) return running?.release();
    if (running) await endHaproxy(running, this.#socket, this.#options.graceMs ?? GRACE_MS);
    await this.#data.removeSockets();
  }

  get #socket(): string {
    return this.#data.workerSocket(this.#generation);
  }

  async #takeOver(found: Processes, print: Printer): Promise<void> {
    const generations = await this.#data.workerSockets();
    await this.#adopted(found, Math.max(0, ...generations), () => this.reload(print));
    this.#log.info("Took over the HAProxy that runs", { pid: found.master, workerPid: this.#workerPid });
  }

  /** Makes one that was found this sidecar's, once it is `ready`. */
  async #adopted(found: Processes, generation: number, ready: () => Promise<void>): Promise<void> {
    const generations = await this.#data.workerSockets();
    const running = new Adopted(this.#data, found.master);
    this.#running = running;
    this.#generation = generation;
    this.#lastGeneration = Math.max(generation, ...generations);
    try {
      await ready();
    } catch (error) {
      running.release();
      this.#running = undefined;
      throw error;
    }
    this.#data.isStarting = false;
    this.#supervised = this.#supervise();
    await this.#data.removeSockets(this.#generation);
    await this.#oldWorkers.settle();
  }

  /** Starts the first HAProxy, where none runs. */
  async #begin(generation: number): Promise<void> {
    await this.#data.removeSockets();
    this.#generation = this.#lastGeneration = generation;
    await this.#spawn();
    failPoint("the start");
    this.#supervised = this.#supervise();
  }

  /** Starts it from the files that are in place, and waits for the worker. */
  async #spawn(): Promise<void> {
    this.#data.isStarting = true;
    this.#heard = [];
    const child = new Child(this.#data.path, (alert) => this.#hear(alert));
    this.#running = child;
    failPoint("a new process");
    const ended = new AbortController();
    child.ended.then(() => ended.abort());
    try {
      this.#became(await ready(this.#loading(AbortSignal.any([ended.signal, this.#stop.signal]))));
    } catch (error) {
      // It may well come up: who comes next waits for it.
      if (this.#stop.signal.aborted && !this.#options.stopWithSidecar && !ended.signal.aborted) return;
      await terminate(child);
      this.#running = undefined;
      this.#data.isStarting = false;
      await child.heard;
      throw new Error(`Cannot start HAProxy: ${this.#heard.join("; ") || (error as Error).message}`);
    }
    this.#data.isStarting = false;
  }

  #hear(alert: string): void {
    // Once in a worker's life, when nobody listened for access lines.
    if (alert.includes("failed in logger")) return;
    this.#heard = [...this.#heard.slice(-7), alert];
    // That its worker is terminated when it is told to stop alarms nobody else; what keeps it from starting is told once.
    if (!this.#stop.signal.aborted && this.down === undefined) this.#log.warn("HAProxy says", { alert });
  }

  async #supervise(): Promise<void> {
    const { signal } = this.#stop;
    const stopped = new Promise<undefined>((done) => signal.addEventListener("abort", () => done(undefined)));
    while (this.#running && !signal.aborted) {
      const how = await Promise.race([this.#running.ended, stopped]);
      if (how === undefined || signal.aborted) return;
      this.#running = undefined;
      this.#workerPid = 0;
      this.#log.error("HAProxy ended: starting it again", how);
      if (!await this.#restarts.run() || signal.aborted) return;
      this.#log.info("HAProxy runs again", { workerPid: this.#workerPid });
      this.#options.onRestart?.();
    }
  }

  /** Has the files loaded that are in place. */
  async #reload(): Promise<void> {
    this.#heard = [];
    this.#became(await reloaded(this.#loading(this.#stop.signal), () => this.#heard.join("; ")));
  }

  #loading(signal: AbortSignal): Loading {
    return { masterSocket: this.#data.masterSocket, workerSocket: () => this.#socket, signal };
  }

  #became(workerPid: number): void {
    this.#workerPid = workerPid;
    this.#loads++;
  }
}

/** Workers that were replaced and still have connections: counted, and looked at before HAProxy cuts them short. */
import type { Log } from "../../proto/log.ts";
import { sleep } from "../../proto/sleep.ts";
import { type OldWorker, processes, workerInfo, workerStreams } from "./master.ts";

export interface OldWorkerState {
  readonly pid: number;
  /** How long ago it was replaced. */
  readonly ageMs: number;
  /** From callers; `undefined` if it does not answer. */
  readonly connections: number | undefined;
}

export interface OldWorkersOptions {
  readonly masterSocket: string;
  readonly log: Log;
  /** How long HAProxy lets a worker go on that was replaced. */
  readonly stopAfterMs: number;
}

/** A worker that does not answer for so long hangs: it routes nothing, by no map. */
const PATIENCE_MS = 5_000;
/** HAProxy tells times in whole seconds. */
const LOOK_BEFORE_MS = 2_000;
const STREAMS_LOGGED = 20;

export class OldWorkers implements Disposable {
  readonly #options: OldWorkersOptions;
  readonly #stop = new AbortController();
  /** Of those that have said that they stop: when they are looked at. */
  readonly #looks = new Map<number, ReturnType<typeof setTimeout>>();
  #longStreamsCut = 0;
  #listing: Promise<readonly OldWorkerState[]> | undefined;
  #listed: readonly OldWorkerState[] = [];

  constructor(options: OldWorkersOptions) {
    this.#options = options;
  }

  /** Requests and connections that were still under way in a worker when its time was over. */
  get longStreamsCut(): number {
    return this.#longStreamsCut;
  }

  /** To be called after a reload: resolves when no old worker routes any request by its own map any more. */
  async settle(): Promise<void> {
    const all = await this.#ask(PATIENCE_MS);
    if (!all) return;
    for (const [pid, timer] of this.#looks) {
      if (all.some((worker) => worker.pid === pid)) continue;
      clearTimeout(timer);
      this.#looks.delete(pid);
    }
    for (const worker of all) if (!this.#looks.has(worker.pid)) await this.#settle(worker);
  }

  /** Asks the master and each of them, once for all who want to know at the time; as before, if the master does not answer. */
  list(): Promise<readonly OldWorkerState[]> {
    return this.#listing ??= this.#list().finally(() => this.#listing = undefined);
  }

  /** As they are; as they were when they were listed last, where that takes longer. */
  async listWithin(ms: number): Promise<readonly OldWorkerState[]> {
    const listed = new AbortController();
    const late = sleep(ms, listed.signal).then(() => this.#listed);
    return await Promise.race([this.list(), late]).finally(() => listed.abort());
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    for (const timer of this.#looks.values()) clearTimeout(timer);
    this.#looks.clear();
  }

  /** A worker is told to stop while its successor begins; only what it says itself shows that it has heard that. */
  async #settle({ pid, replacedMs }: OldWorker): Promise<void> {
    const deadline = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(PATIENCE_MS)]);
    while ((await this.#info(pid))?.get("Stopping") !== "1") {
      const all = await this.#ask(PATIENCE_MS);
      if (all && !all.some((worker) => worker.pid === pid)) return;
      if (this.#stop.signal.aborted) return;
      if (deadline.aborted) {
        this.#options.log.warn("A worker that was replaced does not say that it stops: it hangs", { pid });
        break;
      }
      await sleep(2, deadline);
    }
    const inMs = this.#options.stopAfterMs - replacedMs - LOOK_BEFORE_MS;
    this.#looks.set(pid, setTimeout(() => this.#look(pid), Math.max(0, inMs)));
  }

  /** What a worker has, as its end is near. */
  async #look(pid: number): Promise<void> {
    const { masterSocket, log } = this.#options;
    const streams = await this.#persist(() => workerStreams(masterSocket, pid), LOOK_BEFORE_MS);
    if (!streams || streams.length === 0) return;
    this.#longStreamsCut += streams.length;
    log.warn("A worker that was replaced long ago is ended by HAProxy, and what is under way in it is cut", {
      pid,
      count: streams.length,
      streams: streams.slice(0, STREAMS_LOGGED),
    });
  }

  async #list(): Promise<readonly OldWorkerState[]> {
    const all = await this.#ask(PATIENCE_MS);
    if (!all) return this.#listed;
    const states: OldWorkerState[] = [];
    // One after the other: a master takes few connections at a time.
    for (const { pid, replacedMs } of all) {
      const info = await this.#info(pid);
      const connections = info?.get("CurrConns");
      // One that has ended since then has nothing to tell.
      if (info?.size === 0) continue;
      states.push({ pid, ageMs: replacedMs, connections: connections === undefined ? undefined : Number(connections) });
    }
    return this.#listed = states;
  }

  async #ask(withinMs: number): Promise<readonly OldWorker[] | undefined> {
    return (await this.#persist(() => processes(this.#options.masterSocket), withinMs))?.oldWorkers;
  }

  async #info(pid: number): Promise<ReadonlyMap<string, string> | undefined> {
    try {
      return await workerInfo(this.#options.masterSocket, pid);
    } catch {
      return undefined;
    }
  }

  /** Again and again while the master does not listen; `undefined` when that took too long. */
  async #persist<T>(ask: () => Promise<T>, withinMs: number): Promise<T | undefined> {
    const deadline = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(withinMs)]);
    for (; !deadline.aborted; await sleep(5, deadline)) {
      try {
        return await ask();
      } catch {
        // The master begins anew.
      }
    }
    return undefined;
  }
}

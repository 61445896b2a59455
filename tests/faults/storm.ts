/** Writers and watchers of one control plane all at once, and the log that everything is held against. */
import { CommittedLog } from "./committed_log.ts";
import { readStorm } from "./event_reader.ts";
import { type Figure, Tally } from "./figures.ts";
import { readMap } from "./folded.ts";
import type { At } from "./oracle_watch.ts";
import type { Plane } from "./plane.ts";
import { type Chance, fork } from "./seed.ts";
import { followStorm } from "./sdk_follower.ts";
import { watchStorm } from "./watcher.ts";
import { ownService, Writer } from "./writer.ts";

/** How many watch: over gRPC, as server-sent events, through the SDK. */
export interface Audience {
  readonly watchers: number;
  readonly readers: number;
  readonly followers: number;
}

/** Watchers that get nothing for so long are stuck: a bookmark comes far sooner. */
const STUCK_MS = 60_000;

export class Storm implements Disposable {
  readonly plane: Plane;
  /** The store will be put back: who comes back without all of its position cannot be told from somebody new. */
  readonly putBack: boolean;
  readonly realms: readonly string[] = ["local", "other"];
  /** Services that all writers share, in each realm. */
  readonly services: readonly string[] = ["s0", "s1", "s2", "s3", "s4", "s5"];
  /** The same, but large and seldom written. */
  readonly heavy: readonly string[] = ["heavy-0", "heavy-1", "heavy-2"];
  /** What a watcher may name: these, some of one writer alone, one that there never is. */
  readonly followed = [...this.services, ...this.heavy, ...[0, 1, 2, 3].map(ownService), "nobody"];
  /** The newest epoch's. */
  log: CommittedLog;
  /** The newest revision that any write was told. */
  told: bigint;
  /** Set, before `over` is aborted: watchers end when they hold everything up to here. */
  final: At | undefined;
  readonly #over = new AbortController();
  readonly #logs: CommittedLog[] = [];
  readonly #tally = new Tally();
  readonly #writers = new DisposableStack();
  readonly #unfinished = new Set<string>();
  readonly #failed = Promise.withResolvers<never>();
  #watching: Promise<void>[] = [];

  static async begin(plane: Plane, { putBack = false } = {}): Promise<Storm> {
    const { position } = await readMap(plane, "local", []);
    return new Storm(plane, position, putBack);
  }

  private constructor(plane: Plane, { epoch, revision }: At, putBack: boolean) {
    this.plane = plane;
    this.putBack = putBack;
    this.told = revision;
    this.log = new CommittedLog(epoch, revision);
    this.#logs.push(this.log);
    // It is looked at in `during` and `finish`.
    this.#failed.promise.catch(() => {});
  }

  /** Nothing is written any more. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  logOf(epoch: bigint): CommittedLog | undefined {
    return this.#logs.find((log) => log.epoch === epoch);
  }

  /** Goes on with the log of a new epoch. */
  turn(log: CommittedLog): void {
    this.#logs.push(log);
    this.log = log;
    this.told = log.settled;
  }

  /** Counts what happens, by what people call it. */
  count(what: string, by?: number): void {
    this.#tally.count(what, by);
  }

  /** Keeps the largest of what is measured. */
  peak(what: string, value: number): void {
    this.#tally.peak(what, value);
  }

  figures(promises?: Readonly<Record<string, number>>): readonly Figure[] {
    return this.#tally.figures(promises);
  }

  /** Writers who have nothing yet, numbered from `from`. */
  writers(count: number, chance: Chance, from = 0): readonly Writer[] {
    return Array.from({ length: count }, (_, n) => this.#writers.use(new Writer(this, from + n, fork(chance))));
  }

  /** They watch until the storm is finished. */
  attract({ watchers, readers, followers }: Audience, chance: Chance): void {
    for (let n = 0; n < watchers; n++) this.join(`watcher-${n}`, (who) => watchStorm(this, who, fork(chance)));
    for (let n = 0; n < readers; n++) this.join(`reader-${n}`, (who) => readStorm(this, who, fork(chance)));
    for (let n = 0; n < followers; n++) this.join(`follower-${n}`, (who) => followStorm(this, who, fork(chance)));
  }

  /** Somebody else who stays until the storm is over. */
  join(who: string, stay: (who: string) => Promise<void>): void {
    this.#unfinished.add(who);
    const staying = stay(who).then(() => void this.#unfinished.delete(who));
    staying.catch((error) => this.#failed.reject(error));
    this.#watching.push(staying);
  }

  /** Does something; throws as soon as anybody who stays finds a promise broken. */
  async during<T>(something: Promise<T>): Promise<T> {
    return await Promise.race([something, this.#failed.promise]);
  }

  /** Touches every service that is followed, says that it is over, and waits until everybody holds everything. */
  async finish([writer]: readonly Writer[]): Promise<void> {
    for (const realm of this.realms) {
      for (const service of [...this.services, ...this.heavy]) {
        const instance = { port: 1, version: 1, weight: 1, hostId: "farewell", metadata: {} };
        const id = `farewell-${this.told}`;
        await writer?.send({ kind: "register", service: `${realm}/${service}`, id, instance });
      }
    }
    this.log.assertWhole();
    this.final = { epoch: this.log.epoch, revision: this.log.settled };
    this.#over.abort();
    await Promise.race([Promise.all(this.#watching), this.#failed.promise, this.#late()]);
  }

  [Symbol.dispose](): void {
    this.#writers[Symbol.dispose]();
  }

  async #late(): Promise<never> {
    await new Promise((resolve) => Deno.unrefTimer(setTimeout(resolve, STUCK_MS)));
    const who = [...this.#unfinished].join(", ");
    throw new Error(`Stuck: ${who} did not get everything within ${STUCK_MS / 1_000} s`);
  }
}

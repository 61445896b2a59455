/** All senders of a traffic, each with one request under way, and the ledger that they write. */
import { type Chance, fork } from "../faults/seed.ts";
import { now } from "./clock.ts";
import { GrpcSender, GrpcStreamSender, openChannel } from "./grpc_senders.ts";
import { get, Http1Sender, post, stream } from "./http1_senders.ts";
import { Http2Sender, SharedHttp2 } from "./http2_sender.ts";
import { type Kind, KINDS, LEFT, Numbering, OK, rounded, type Sent } from "./ledger.ts";
import type { Outcome, Sender } from "./outcome.ts";
import { Pace } from "./pace.ts";
import { WebSocketSender } from "./websocket_sender.ts";
import { Watchdog, type Where } from "./wire.ts";

/** What services are asked for: `SERVICE`, `ALIAS.SERVICE` or `vNUMBER.SERVICE`; each request chooses one. */
export interface Targets {
  /** By everything but gRPC. */
  readonly http?: readonly string[];
  readonly grpc?: readonly string[];
}

export interface SendersOptions {
  /** Of 127.0.0.1. */
  readonly port: number;
  /** How many of each kind. */
  readonly senders: Readonly<Partial<Record<Kind, number>>>;
  readonly services: Targets;
  /** Of all short requests together, whoever of their senders has time; else each sends as soon as it is answered. */
  readonly perSecond?: number;
  /** How long the answers of `stream` and `grpc_stream` go on. */
  readonly streamMs: number;
  /** How late `slow` is answered. */
  readonly slowMs: number;
  /** When nothing has been heard for so long, the outcome is `timeout`. */
  readonly timeoutMs: number;
}

export interface Counts {
  readonly sent: number;
  /** Those that have an outcome, by it. */
  readonly outcomes: Readonly<Record<string, number>>;
}

const SHORT: ReadonlySet<Kind> = new Set(["kept", "new", "post", "h2c", "grpc"]);

/** Who cannot get through does not try again at once. */
const PAUSE_MS = 5;

/** The ledger's first outcome: there is none yet. */
const UNFINISHED = "unfinished";

export class Senders {
  readonly #outcomes = new Numbering();
  readonly #services = new Numbering();
  readonly #rows = {
    origin: now(),
    kind: [] as number[],
    service: [] as number[],
    at: [] as number[],
    outcome: [] as number[],
    took: [] as number[],
    resent: [] as [number, number][],
    details: [] as [number, string][],
  };
  readonly #counts: number[] = [];
  readonly #pace: Pace;
  readonly #watchdog = new Watchdog();
  readonly #senders: readonly Sender[];
  readonly #running: readonly Promise<void>[];
  readonly #kinds: readonly Kind[];
  #targets: Targets = {};
  #isOver = false;

  /** They begin at once; ids of their requests count from `base`. */
  constructor(options: SendersOptions, private readonly base: number, chance: Chance) {
    const { port, timeoutMs } = options;
    this.#outcomes.of(UNFINISHED);
    this.#pace = new Pace(options.perSecond);
    this.#kinds = KINDS.filter((kind) => options.senders[kind]);
    this.aim(options.services);
    const all = makeSenders(options, { port, timeoutMs, watchdog: this.#watchdog }, chance);
    this.#senders = all.map(([, sender]) => sender);
    this.#running = all.map(([kind, sender]) => this.#run(kind, sender, fork(chance)));
  }

  /** Requests from now on choose among these; a protocol's that are not told stay. Throws where there are none. */
  aim(targets: Targets): void {
    const all = { ...this.#targets, ...targets };
    const without = this.#kinds.find((kind) => targetsOf(kind, all).length === 0);
    if (without) throw new Error(`Cannot send requests of kind "${without}": no service for them is named`);
    this.#targets = all;
  }

  counts(): Counts {
    const outcomes = this.#outcomes.texts.map((text, number) => [text, this.#counts[number] ?? 0] as const);
    return { sent: this.#rows.at.length, outcomes: Object.fromEntries(outcomes.slice(1)) };
  }

  /** Begins nothing more, and waits for the answers to what was begun; what goes on for long is left. */
  async end(): Promise<Sent> {
    this.#isOver = true;
    this.#pace.end();
    for (const sender of this.#senders) sender.leave?.();
    await Promise.all(this.#running);
    for (const sender of this.#senders) sender[Symbol.dispose]();
    this.#watchdog[Symbol.dispose]();
    return { ...this.#rows, base: this.base, services: this.#services.texts, outcomes: this.#outcomes.texts };
  }

  async #run(kind: Kind, sender: Sender, chance: Chance): Promise<void> {
    for (;;) {
      const start = SHORT.has(kind) ? await this.#pace.next() : this.#isOver ? undefined : performance.now();
      if (start === undefined) return;
      const service = chance.pick(targetsOf(kind, this.#targets));
      const row = this.#begin(kind, service);
      const outcome = await sender.send(this.base + row, service);
      this.#end(row, outcome, performance.now() - start);
      if (outcome.outcome !== OK && !this.#isOver) await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  #begin(kind: Kind, service: string): number {
    const rows = this.#rows;
    rows.kind.push(KINDS.indexOf(kind));
    rows.service.push(this.#services.of(service));
    rows.outcome.push(0);
    rows.took.push(0);
    return rows.at.push(rounded(now() - rows.origin)) - 1;
  }

  #end(row: number, { outcome, detail, resent = 0 }: Outcome, ms: number): void {
    const number = this.#outcomes.of(outcome);
    this.#rows.outcome[row] = number;
    this.#rows.took[row] = rounded(ms);
    this.#counts[number] = (this.#counts[number] ?? 0) + 1;
    if (resent > 0) this.#rows.resent.push([row, resent]);
    if (detail && outcome !== LEFT) this.#rows.details.push([row, detail]);
  }
}

function targetsOf(kind: Kind, { http = [], grpc = [] }: Targets): readonly string[] {
  return kind === "grpc" || kind === "grpc_stream" ? grpc : http;
}

function makeSenders(
  { senders, streamMs, slowMs }: SendersOptions,
  where: Where,
  chance: Chance,
): readonly (readonly [Kind, Sender])[] {
  const [http2, channel] = [new SharedHttp2(where), openChannel(where)];
  const http1 = (exchange: ReturnType<typeof get>, keep: boolean) => new Http1Sender({ where, exchange, keep });
  const make: Readonly<Record<Kind, () => Sender>> = {
    kept: () => http1(get("/"), true),
    new: () => http1(get("/"), false),
    post: () => http1(post(fork(chance)), true),
    h2c: () => new Http2Sender(http2),
    grpc: () => new GrpcSender(channel, where),
    slow: () => http1(get(`/slow?ms=${slowMs}`), true),
    stream: () => new Http1Sender({ where, exchange: stream(streamMs), keep: true, isLong: true }),
    websocket: () => new WebSocketSender(where),
    grpc_stream: () => new GrpcStreamSender(channel, where, streamMs),
  };
  return KINDS.flatMap((kind) => Array.from({ length: senders[kind] ?? 0 }, () => [kind, make[kind]()] as const));
}

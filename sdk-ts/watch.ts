import type { MessageInitShape } from "@bufbuild/protobuf";
import { type ServiceError, status } from "@grpc/grpc-js";
import type { Position } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import {
  DiscoveryService,
  type Part,
  type SubscribeSchema,
  type WatchResponse,
} from "../proto/gen/portolan/v1/discovery_pb.ts";
import { createClient, type Duplex } from "../proto/grpc.ts";
import { fold, type Held, type HeldAt } from "./fold.ts";
import { reasonOf } from "./reason.ts";

/** What a follower can say of its routing. */
export interface AppliedReport {
  readonly position: Position;
  readonly refused: { service: string; reason: string }[];
}

export interface WatchOptions {
  readonly address: string;
  readonly subscribe: MessageInitShape<typeof SubscribeSchema> & { readonly subscription: number };
  /** What the subscription's `after` stands for. */
  readonly held: Held;
  /** Called after each update, with what is held from then on. */
  readonly onHeld: (held: HeldAt, changed: ReadonlySet<string>) => void;
  readonly signal: AbortSignal;
}

/** Why a watch ended; without a code it was not the server that ended it. */
export interface End {
  readonly code?: status;
  readonly reason: string;
  readonly error?: Error;
}

/** One stream to one control plane. */
export interface Watch {
  readonly answered: boolean;
  readonly ended: Promise<End>;
  applied(report: AppliedReport): void;
  /** The server ends the stream then, and the follower is off the roster. */
  goodbye(): void;
}

// Parts or bookmarks come at least every 10 s. Who never answered is given up as soon as a dead connection would be.
const SILENT_MS = 30_000;
const UNANSWERED_MS = 15_000;

// A dead server is noticed by its connection, also while there is nothing to say. A pool of its own: the shared one
// remembers that an address failed, and makes the next attempt wait for it.
const CHANNEL = {
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
  "grpc.use_local_subchannel_pool": 1,
};

/** Subscribes, folds what comes, says `received` after each update; ends with its stream. */
export function openWatch(options: WatchOptions): Watch {
  const client = createClient(DiscoveryService, options.address, CHANNEL);
  const watch = new OpenWatch(client.watch(), options);
  watch.ended.then(() => client.close());
  return watch;
}

class OpenWatch implements Watch {
  answered = false;
  readonly ended: Promise<End>;
  readonly #stream: Duplex<typeof DiscoveryService.method.watch>;
  readonly #options: WatchOptions;
  #held: Held;
  #parts: Part[] = [];
  #over = false;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #end!: (end: End) => void;

  constructor(stream: Duplex<typeof DiscoveryService.method.watch>, options: WatchOptions) {
    this.#stream = stream;
    this.#options = options;
    this.#held = options.held;
    this.ended = new Promise((resolve) => this.#end = resolve);
    const stop = () => this.#finish({ reason: "it was asked to end" });
    options.signal.addEventListener("abort", stop, { once: true });
    this.ended.then(() => options.signal.removeEventListener("abort", stop));

    this.#listenUntil(UNANSWERED_MS);
    stream.on("metadata", () => this.#heard());
    stream.on("data", (response: WatchResponse) => this.#take(response));
    stream.on("error", (error: ServiceError) => this.#finish(endOf(error)));
    stream.on("end", () => this.#finish({ code: status.UNAVAILABLE, reason: "the server ended the watch" }));
    stream.write({ message: { case: "subscribe", value: options.subscribe } });
    if (options.signal.aborted) stop();
  }

  applied(report: AppliedReport): void {
    if (!this.#over) this.#stream.write({ message: { case: "applied", value: report } });
  }

  goodbye(): void {
    if (!this.#over) this.#stream.write({ message: { case: "goodbye", value: {} } });
  }

  #take({ part, subscription }: WatchResponse): void {
    if (this.#over) return;
    this.#heard();
    if (!part || subscription !== this.#options.subscribe.subscription) return;
    this.#parts.push(part);
    if (!part.last) return;
    const folded = fold(this.#held, this.#parts);
    this.#parts = [];
    if (folded.kind === "refused") return this.#finish({ reason: folded.reason });
    this.#held = folded.held;
    this.#stream.write({ message: { case: "received", value: { position: folded.held.position } } });
    this.#options.onHeld(folded.held, folded.changed);
  }

  #heard(): void {
    this.answered = true;
    this.#listenUntil(SILENT_MS);
  }

  #listenUntil(ms: number): void {
    clearTimeout(this.#silence);
    if (this.#over) return;
    this.#silence = setTimeout(() => this.#finish({ reason: `nothing came for ${ms / 1000} s` }), ms);
  }

  #finish(end: End): void {
    if (this.#over) return;
    this.#over = true;
    this.answered = false;
    clearTimeout(this.#silence);
    // The stream still reports that it was cancelled; nobody is to hear of that.
    this.#stream.on("error", () => {});
    this.#stream.cancel();
    this.#end(end);
  }
}

// Servers that are stopped by force leave a CANCELLED behind, which nobody here asked for.
function endOf(error: ServiceError): End {
  const code = error.code === status.CANCELLED ? status.UNAVAILABLE : error.code;
  return { code, reason: reasonOf(error), error };
}

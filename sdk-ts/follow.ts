import type { Position, Service } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { Follower_Kind } from "../proto/gen/portolan/v1/discovery_pb.ts";
import { type Log, SILENT } from "../proto/log.ts";
import { samePosition } from "../proto/position.ts";
import { FINAL_CODES, reconnectDelay } from "./backoff.ts";
import { type Held, type HeldAt, NOTHING } from "./fold.ts";
import { Newest } from "./newest.ts";
import { keep, KEEP_MS, type Kept, NOTHING_KEPT, routed, type Step } from "./old_epoch.ts";
import { type Ports, REAL } from "./ports.ts";
import { type AppliedReport, openWatch, type Watch } from "./watch.ts";

/**
 * The map in a scope, whole, at one position. For those who route it goes on with what a new epoch lacks (a store that
 * was restored or wiped): for 5 minutes, as instances of status UNKNOWN, while registrars come back.
 */
export interface Snapshot {
  readonly position: Position;
  readonly services: ReadonlyMap<string, Service>;
  /** Names set or deleted since the snapshot yielded before. */
  readonly changed: ReadonlySet<string>;
  /** Set while more is routed than the map has: the map as it is, and the instances of an epoch before. */
  readonly apart?: { readonly map: ReadonlyMap<string, Service>; readonly kept: ReadonlyMap<string, Service> };
}

/** What an earlier process of this follower held in the same scope; nothing in it is changed. */
export interface SavedSnapshot {
  readonly position: Position;
  /** The map as it was, without what is kept. */
  readonly services: ReadonlyMap<string, Service>;
  /** Instances of an epoch before that were routed beside it: they get their 5 minutes again. */
  readonly kept?: ReadonlyMap<string, Service>;
}

/**
 * Iterating gives the newest snapshot, the ones skipped that came while nobody asked, and a new position also where
 * nothing changed. What was saved comes first, at once. It throws when every control plane refuses for good before
 * there is a first one; disposing ends it.
 */
export interface Following extends AsyncDisposable, AsyncIterable<Snapshot> {
  /** Says that nothing is routed any more but by the map at `position`; `refused` names what could not be used. */
  applied(position: Position, refused?: readonly { service: string; reason: string }[]): void;
  /** Ends it for good: says goodbye, so that nobody waits for this follower any more. */
  leave(): Promise<void>;
  /** Whether a control plane answers; the snapshots stay good while none does. */
  readonly connected: boolean;
  /** `host:port` of the control plane that answers. */
  readonly controlPlane?: string | undefined;
  /**
   * When a control plane last brought the map up to date or said that it is, in ms of the wall clock: every 10 s at
   * least while one does. Unset: not in this process.
   */
  readonly heardAt?: number | undefined;
}

export interface FollowOptions {
  /** `host:port` of each; tried in turn. */
  readonly controlPlanes: readonly string[];
  /** No services: all of the realm, those to come included. */
  readonly scope: { realm: string; services: readonly string[] };
  readonly follower: { id: string; kind: Follower_Kind; program: string; zone: string };
  /** Goes on asking without a map, too, whatever it is answered: something is routed already. */
  readonly keepAsking?: boolean;
  /** Where to go on from: whoever has it holds a map. */
  readonly saved?: SavedSnapshot;
  readonly log?: Log;
}

/** Follows the map over one watch at a time, for as long as it takes. */
export function follow(options: FollowOptions, ports: Ports = REAL): Following {
  if (options.controlPlanes.length === 0) throw new TypeError("Cannot follow the map: no control plane is named");
  return new Follow(options, ports);
}

/** Who leaves does not wait longer than this for a control plane to hear of it. */
const GOODBYE_MS = 2_000;
const ROUTES: ReadonlySet<Follower_Kind> = new Set([Follower_Kind.SIDECAR, Follower_Kind.SDK]);

class Follow implements Following {
  readonly #options: FollowOptions;
  readonly #ports: Ports;
  readonly #log: Log;
  readonly #snapshots = new Newest<Snapshot>(melt);
  readonly #stop = new AbortController();
  readonly #ended: Promise<void>;
  #held: Held = NOTHING;
  #kept: Kept = NOTHING_KEPT;
  #leaving = false;
  #applied: AppliedReport | undefined;
  #watch: Watch | undefined;
  #address = "";
  #heardAt: number | undefined;
  #failures = 0;

  constructor(options: FollowOptions, ports: Ports) {
    this.#options = options;
    this.#ports = ports;
    this.#log = options.log ?? SILENT;
    if (options.saved) this.#goOnFrom(options.saved);
    this.#ended = this.#run();
  }

  get connected(): boolean {
    return this.#watch?.answered ?? false;
  }

  get controlPlane(): string | undefined {
    return this.connected ? this.#address : undefined;
  }

  get heardAt(): number | undefined {
    return this.#heardAt;
  }

  applied(position: Position, refused: readonly { service: string; reason: string }[] = []): void {
    this.#applied = { position, refused: [...refused] };
    this.#watch?.applied(this.#applied);
  }

  [Symbol.asyncIterator](): AsyncIterator<Snapshot> {
    return this.#snapshots[Symbol.asyncIterator]();
  }

  async leave(): Promise<void> {
    this.#leaving = true;
    const heard = new AbortController();
    this.#watch?.goodbye();
    this.#watch?.ended.then(() => heard.abort());
    if (this.#watch) await this.#ports.sleep(GOODBYE_MS, heard.signal);
    if (!heard.signal.aborted) this.#log.warn("Nobody hears the goodbye: this follower stays on the roster");
    await this[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#snapshots.end();
    await this.#ended;
  }

  get #over(): boolean {
    return this.#leaving || this.#stop.signal.aborted;
  }

  #goOnFrom({ position, services, kept = NOTHING_KEPT.services }: SavedSnapshot): void {
    this.#held = { position, services };
    if (kept.size > 0) {
      this.#kept = { services: kept, until: this.#ports.now() + KEEP_MS };
      void this.#forget(this.#kept);
    }
    this.#put(position, new Set([...services.keys(), ...kept.keys()]));
  }

  async #run(): Promise<void> {
    const { controlPlanes } = this.#options;
    let refusals = 0;
    for (let turn = 0; !this.#over; turn++) {
      const address = controlPlanes[turn % controlPlanes.length] as string;
      const final = await this.#watchOnce(address, turn + 1);
      if (this.#over) return;
      refusals = final ? refusals + 1 : 0;
      // Who holds a map goes on with it, and goes on asking: what refuses now may be mended.
      const nothingToLose = !this.#held.position && !this.#options.keepAsking;
      if (final && nothingToLose && refusals >= controlPlanes.length) return this.#snapshots.fail(final);
      await this.#ports.sleep(reconnectDelay(++this.#failures, this.#ports.random), this.#stop.signal);
    }
  }

  /** One stream, to its end; answers with the error if there is no use in another one. */
  async #watchOnce(address: string, subscription: number): Promise<Error | undefined> {
    const { scope, follower } = this.#options;
    this.#address = address;
    this.#watch = openWatch({
      address,
      subscribe: {
        scope: { realm: scope.realm, services: [...scope.services] },
        follower,
        ...(this.#held.position && { after: this.#held.position }),
        subscription,
      },
      held: this.#held,
      onHeld: (held, changed) => this.#hold(held, changed),
      signal: this.#stop.signal,
    });
    // A control plane that was started again knows nothing of what was said before. Still true: nothing else was said.
    if (this.#applied) this.#watch.applied(this.#applied);
    const end = await this.#watch.ended;
    this.#watch = undefined;
    if (this.#over) return undefined;
    this.#log.warn("The watch of the cluster map ended", { controlPlane: address, code: end.code, reason: end.reason });
    if (end.code === undefined || !FINAL_CODES.has(end.code)) return undefined;
    return new Error(`Cannot follow the map at "${address}": ${end.reason}`, { cause: end.error });
  }

  #hold(held: HeldAt, changed: ReadonlySet<string>): void {
    const before = this.#held;
    this.#held = held;
    if (this.#failures > 0 || this.#heardAt === undefined) {
      const { epoch, revision } = held.position;
      this.#log.info("Following the cluster map", { controlPlane: this.#address, epoch, revision });
    }
    this.#failures = 0;
    this.#heardAt = Date.now();
    // Positions of another epoch say nothing about this one.
    if (this.#applied?.position.epoch !== held.position.epoch) this.#applied = undefined;
    this.#keep({ before, after: held, changed });
    if (changed.size === 0 && samePosition(before.position, held.position)) return;
    this.#put(held.position, changed);
  }

  /** Those who look on are shown what is there; those who route lose nobody by a new epoch. */
  #keep(step: Step): void {
    if (!ROUTES.has(this.#options.follower.kind)) return;
    const { until } = this.#kept;
    this.#kept = keep(this.#kept, step, this.#ports.now());
    if (this.#kept.until !== until) void this.#forget(this.#kept);
  }

  async #forget({ until, services }: Kept): Promise<void> {
    if (services.size > 0) {
      this.#log.warn("A new epoch lacks instances: keeping them for 5 minutes", { services: services.size });
    }
    await this.#ports.sleep(KEEP_MS, this.#stop.signal);
    const { position } = this.#held;
    // A newer epoch keeps them for longer.
    if (this.#stop.signal.aborted || this.#kept.until !== until || !position) return;
    const changed = new Set(this.#kept.services.keys());
    this.#kept = NOTHING_KEPT;
    if (changed.size === 0) return;
    this.#log.warn("Instances did not come back: forgetting them", { services: changed.size });
    this.#put(position, changed);
  }

  #put(position: Position, changed: ReadonlySet<string>): void {
    const { services: map } = this.#held;
    const { services: kept } = this.#kept;
    const services = routed(map, this.#kept);
    this.#snapshots.put({ position, services, changed, ...(kept.size > 0 && { apart: { map, kept } }) });
  }
}

function melt(unseen: Snapshot, newer: Snapshot): Snapshot {
  return { ...newer, changed: new Set([...unseen.changed, ...newer.changed]) };
}

/**
 * Keeps HAProxy in step with the map: newest snapshot → render → assign → diff → files → socket or reload → `applied`.
 * Nothing here waits for a clock but reloads, which come at most one per 2 s; meanwhile everything else goes on.
 */
import type { Position } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Log } from "../proto/log.ts";
import type { Following, Snapshot } from "../sdk-ts/follow.ts";
import { assign, needReload, settled } from "./routing/assign.ts";
import { Refused } from "./haproxy/data_folder.ts";
import { diff, type Transition } from "./routing/diff.ts";
import type { EgressSettings } from "./config/print_egress.ts";
import type { Haproxy } from "./haproxy/haproxy.ts";
import { Leaving, without } from "./leaving.ts";
import { EMPTY_PLAN, type HaproxyPlan } from "./routing/plan.ts";
import { print } from "./config/print.ts";
import { Resolver, type ResolverOptions } from "./resolve_host.ts";
import { Wake } from "./wake.ts";
import { type RefusedService, Wishes } from "./wishes.ts";
import { Unexpected } from "./haproxy/worker.ts";

export interface ReconcileOptions {
  readonly following: Pick<Following, "applied" | typeof Symbol.asyncIterator>;
  readonly haproxy: Pick<Haproxy, "start" | "update" | "reload" | "deleteServers" | "loads">;
  readonly egress: EgressSettings;
  readonly log: Log;
  readonly lookup?: ResolverOptions["lookup"];
  readonly reloadEveryMs?: number;
  /** How long a removed server is left in peace before it is deleted. */
  readonly deleteAfterMs?: number;
}

export interface Reload {
  readonly at: Date;
  readonly reasons: readonly string[];
}

const RELOAD_EVERY_MS = 2_000;
const DELETE_AFTER_MS = 10_000;
const RETRY_MS = 1_000;
const RELOADS_KEPT = 50;

export class Reconciler {
  readonly #options: ReconcileOptions;
  readonly #log: Log;
  readonly #wake = new Wake();
  readonly #resolver: Resolver;
  readonly #wishes: Wishes;
  readonly #leaving: Leaving;
  readonly #changed = new Set<string>();
  readonly #reloads: Reload[] = [];
  #snapshot: Snapshot | undefined;
  #applied: Position | undefined;
  /** What HAProxy runs; `undefined` before it was started. */
  #running: HaproxyPlan | undefined;
  /** What is in the files: what HAProxy runs after it died. */
  #filed: HaproxyPlan = EMPTY_PLAN;
  #loads = 0;
  /** Why what HAProxy runs is not known; only a reload mends that. */
  #lost: string | undefined;
  #reloadAt = 0;

  constructor(options: ReconcileOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#resolver = new Resolver({
      ...(options.lookup && { lookup: options.lookup }),
      log: options.log,
      onChange: (owner) => this.#change([owner]),
    });
    this.#wishes = new Wishes(this.#resolver);
    this.#leaving = new Leaving(options.deleteAfterMs ?? DELETE_AFTER_MS, () => this.#wake.set());
  }

  /** Up to where HAProxy routes by the map; `undefined` before the first map. */
  get applied(): Position | undefined {
    return this.#applied;
  }

  /** The newest ones, oldest first, each with its reasons. */
  get reloads(): readonly Reload[] {
    return this.#reloads;
  }

  get refused(): readonly RefusedService[] {
    return this.#wishes.refused;
  }

  /** Looks at HAProxy again: it was started anew. */
  poke(): void {
    this.#wake.set();
  }

  /** Goes on until the signal, or throws: the map cannot be followed, HAProxy cannot be started. Whose map it is ends it. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = () => this.#wake.set();
    signal.addEventListener("abort", stop);
    let failed: { readonly error: unknown } | undefined;
    this.#follow().catch((error) => {
      failed = { error };
      this.#wake.set();
    });
    try {
      for (;;) {
        await this.#wake.wait();
        if (signal.aborted) return;
        // With a map applied, calls go on without whoever refuses to tell more.
        if (failed && !this.#applied) throw failed.error;
        if (this.#snapshot) await this.#step(this.#snapshot);
      }
    } finally {
      signal.removeEventListener("abort", stop);
      this.#wake.clear();
      this.#leaving.clear();
      this.#resolver[Symbol.dispose]();
    }
  }

  async #follow(): Promise<void> {
    try {
      for await (const snapshot of this.#options.following) {
        this.#snapshot = snapshot;
        this.#change(snapshot.changed);
      }
    } catch (error) {
      this.#log.error("The map is not followed any more", { reason: error });
      throw error;
    }
  }

  #change(names: Iterable<string>): void {
    for (const name of names) this.#changed.add(name);
    this.#wake.set();
  }

  async #step({ position, services }: Snapshot): Promise<void> {
    for (const name of this.#changed) this.#wishes.set(name, services.get(name));
    this.#changed.clear();
    // An address that comes from here on makes a step of its own.
    const whole = !this.#resolver.pending;
    // The first map waits for its addresses, not long: with them it is a start, without them a start and a reload.
    if (!this.#running && !whole) return;
    try {
      const there = await this.#bring();
      if (there && whole) this.#report(position);
      await this.#deleteServers();
    } catch (error) {
      // A first start that fails is a matter of settings; later it may be a full disk, which ends.
      if (!this.#running) throw error;
      this.#log.error("Cannot apply the map: trying again", { reason: error });
      this.#wake.later(RETRY_MS);
    }
  }

  #report(position: Position): void {
    this.#applied = position;
    this.#options.following.applied(position, this.refused);
  }

  /** Brings HAProxy to what is wanted; answers whether it is there, or a reload is still owed. */
  async #bring(): Promise<boolean> {
    if (!this.#running) return await this.#start();
    // HAProxy died and was started again: it runs what is in its files, whatever it had been told.
    if (this.#loads !== this.#options.haproxy.loads) this.#hasLoaded(this.#filed);
    const plan = assign(this.#wishes.wanted, this.#running);
    const transition = diff(this.#running, plan);
    if (transition.kind === "reload" || this.#lost !== undefined) {
      const reasons = transition.kind === "reload" ? transition.reasons : [];
      return await this.#reload(settled(plan), [...(this.#lost === undefined ? [] : [this.#lost]), ...reasons]);
    }
    const updated = await this.#update(plan, transition);
    if (updated) this.#wishes.prove();
    return updated;
  }

  async #start(): Promise<boolean> {
    const start = async (plan: HaproxyPlan) => {
      await this.#options.haproxy.start((generation) => print(plan, this.#options.egress, generation));
      this.#hasLoaded(plan);
    };
    try {
      await start(assign(this.#wishes.wanted, EMPTY_PLAN));
      this.#wishes.prove();
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      // What is refused of a map is found out as at any reload.
      await start(EMPTY_PLAN);
      this.#wake.set();
      return false;
    }
  }

  /** Without a reload; answers whether that worked. */
  async #update(plan: HaproxyPlan, transition: Transition): Promise<boolean> {
    if (transition.kind === "none") {
      // It may know more of servers that are out of use already.
      this.#running = plan;
      return true;
    }
    if (transition.kind === "reload") throw new Error(`Cannot update HAProxy: ${transition.reasons.join(", ")}`);
    try {
      const { haproxy, egress } = this.#options;
      await haproxy.update((generation) => print(plan, egress, generation), transition.commands);
      this.#running = this.#filed = plan;
      return true;
    } catch (error) {
      if (!(error instanceof Unexpected)) throw error;
      this.#filed = plan;
      // Whatever HAProxy has loaded up to now may be older than these files.
      this.#loads = this.#options.haproxy.loads;
      this.#log.warn("The worker did not do what it was told: reloading", { reason: error });
      this.#lost = error.message;
      this.#wake.set();
      return false;
    }
  }

  /** At once if the last reload is long enough ago; else what can be done without it, and a reload later. */
  async #reload(plan: HaproxyPlan, reasons: readonly string[]): Promise<boolean> {
    const waitMs = this.#reloadAt - performance.now();
    if (waitMs > 0) {
      this.#wake.later(waitMs);
      const running = this.#running ?? EMPTY_PLAN;
      const held = assign(this.#wishes.wanted, running, "hold");
      if (this.#lost === undefined) await this.#update(held, diff(running, held));
      return false;
    }
    this.#reloadAt = performance.now() + (this.#options.reloadEveryMs ?? RELOAD_EVERY_MS);
    try {
      await this.#options.haproxy.reload((generation) => print(plan, this.#options.egress, generation));
    } catch (error) {
      const fresh = needReload(this.#wishes.wanted, this.#running ?? EMPTY_PLAN);
      if (!(error instanceof Refused) || fresh.length === 0) throw error;
      this.#log.error("HAProxy refuses what is new: keeping what runs", { services: fresh, reason: error });
      this.#wishes.revert(fresh, error.message);
      this.#wake.set();
      return false;
    }
    this.#log.info("Reloaded HAProxy", { reasons });
    this.#reloads.push({ at: new Date(), reasons });
    if (this.#reloads.length > RELOADS_KEPT) this.#reloads.shift();
    this.#wishes.prove();
    this.#hasLoaded(plan);
    return true;
  }

  /** HAProxy has read its files, which say `plan`. */
  #hasLoaded(plan: HaproxyPlan): void {
    this.#running = this.#filed = settled(plan);
    this.#lost = undefined;
    this.#loads = this.#options.haproxy.loads;
  }

  async #deleteServers(): Promise<void> {
    const running = this.#running;
    if (!running || this.#lost !== undefined) return;
    const due = this.#leaving.due(running);
    const gone = due.length > 0 ? await this.#options.haproxy.deleteServers(due) : [];
    this.#running = without(running, gone);
    this.#leaving.watch(this.#running);
  }
}

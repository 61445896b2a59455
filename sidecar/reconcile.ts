/**
 * Keeps HAProxy in step with the map: newest snapshot → render → assign → diff → files → socket or reload → `applied`.
 * Nothing here waits for a clock but reloads, which keep their distance; meanwhile everything else goes on.
 */
import type { Position } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Log } from "../proto/log.ts";
import { formatPosition } from "../sdk-ts/fold.ts";
import type { Snapshot } from "../sdk-ts/follow.ts";
import type { Routed } from "./access/target.ts";
import { print } from "./config/print.ts";
import { guilty } from "./guilty.ts";
import { Refused } from "./haproxy/data_folder.ts";
import type { Printer } from "./haproxy/haproxy.ts";
import { PortTaken } from "./haproxy/new_ports.ts";
import { Unexpected } from "./haproxy/worker.ts";
import { Leaving, without } from "./leaving.ts";
import { localPortProblem } from "./local_ports.ts";
import { Refill } from "./refill.ts";
import { Reloads } from "./reloads.ts";
import type { ReconcileOptions, Running } from "./reconcile_options.ts";
import { Resolver } from "./resolve_host.ts";
import { addressesOf } from "./routing/addresses.ts";
import { assign, type Assigning, needReload, settled } from "./routing/assign.ts";
import { diff, type Transition } from "./routing/diff.ts";
import { EMPTY_PLAN, type HaproxyPlan, type Wanted } from "./routing/plan.ts";
import { Wake } from "./wake.ts";
import { type RefusedService, Wishes } from "./wishes.ts";

const RELOAD_EVERY_MS = 2_000;
const MOST_OLD_WORKERS = 32;
const DELETE_AFTER_MS = 10_000;
const RETRY_MS = 1_000;
const PORT_RETRY_MS = 5_000;
const SPARES = 128;
/** Refused services that are reported with a map: a report has to fit into a message. */
const MOST_REPORTED = 500;
const REFILL_AFTER_MS = 10_000;

export class Reconciler {
  readonly reloads: Reloads;
  readonly #options: ReconcileOptions;
  readonly #log: Log;
  readonly #spares: number;
  readonly #refill: Refill;
  readonly #wake = new Wake();
  readonly #resolver: Resolver;
  readonly #wishes: Wishes;
  readonly #leaving: Leaving;
  readonly #changed = new Set<string>();
  #snapshot: Snapshot | undefined;
  /** Of the map that is being applied. */
  #position = "none";
  #applied: Position | undefined;
  /** What HAProxy runs; `undefined` before it was started. */
  #running: HaproxyPlan | undefined;
  /** What is in the files: what HAProxy runs after it died. */
  #filed: HaproxyPlan = EMPTY_PLAN;
  #loads = 0;
  /** Why what HAProxy runs is not known; only a reload mends that. */
  #lost: string | undefined;

  constructor(options: ReconcileOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#spares = options.spares ?? SPARES;
    this.#refill = new Refill(this.#spares, options.refillAfterMs ?? REFILL_AFTER_MS);
    this.reloads = new Reloads({
      everyMs: options.reloadEveryMs ?? RELOAD_EVERY_MS,
      mostOldWorkers: MOST_OLD_WORKERS,
    });
    this.#resolver = new Resolver({
      ...(options.lookup && { lookup: options.lookup }),
      log: options.log,
      onChange: (owner) => this.look([owner]),
    });
    this.#wishes = new Wishes({
      resolver: this.#resolver,
      isEjected: options.isEjected ?? (() => false),
      portProblem: (service, port) =>
        localPortProblem({
          service,
          port,
          held: (this.#running ?? EMPTY_PLAN).listeners,
          wanted: this.#wishes.wanted,
          frozen: this.#wishes.frozen,
          egress: options.egress.egress,
        }),
    });
    this.#leaving = new Leaving(options.deleteAfterMs ?? DELETE_AFTER_MS, () => this.#wake.set());
    if (options.running) this.#takeOver(options.running);
  }

  /** Up to where HAProxy routes by the map; `undefined` before the first map. */
  get applied(): Position | undefined {
    return this.#applied;
  }

  get refused(): readonly RefusedService[] {
    return this.#wishes.refused;
  }

  /** What HAProxy runs; `undefined` before it was started. */
  get running(): HaproxyPlan | undefined {
    return this.#running;
  }

  get resolver(): Pick<Resolver, "lookups" | "failedLookups"> {
    return this.#resolver;
  }

  /** What is routed: what HAProxy runs, and the services of the newest map. */
  get routed(): Routed {
    return { plan: this.#running ?? EMPTY_PLAN, services: this.#snapshot?.services ?? new Map() };
  }

  /** Looks at HAProxy, and at these services, again. */
  look(names: Iterable<string> = []): void {
    for (const name of names) this.#changed.add(name);
    this.#wake.set();
  }

  /** Goes on until the signal, or throws: the map cannot be followed, HAProxy cannot be started. Whose map it is ends it. */
  async run(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
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
        // With something that runs, calls go on without whoever refuses to tell more.
        if (failed && !this.#running) throw failed.error;
        if (this.#snapshot) await this.#step(this.#snapshot);
      }
    } finally {
      signal.removeEventListener("abort", stop);
      this.#wake.clear();
      this.#leaving.clear();
      this.#resolver[Symbol.dispose]();
    }
  }

  async #mayRefill(): Promise<boolean> {
    return this.#refill.due && this.reloads.waitMs(await this.#oldWorkers()) === 0;
  }

  async #oldWorkers(): Promise<number> {
    return await this.#options.oldWorkers?.() ?? 0;
  }

  #takeOver({ plan, unknown }: Running): void {
    this.#running = this.#filed = plan;
    this.#loads = this.#options.haproxy.loads;
    this.#lost = unknown;
  }

  async #follow(): Promise<void> {
    try {
      for await (const snapshot of this.#options.following) {
        if (!this.#snapshot) this.#recall(snapshot);
        this.#snapshot = snapshot;
        this.look(snapshot.changed);
      }
    } catch (error) {
      this.#log.error("The map is not followed any more", { reason: error });
      throw error;
    }
  }

  /** What runs was made of this very map: the addresses in use are those of its names, and need no looking up first. */
  #recall({ position, services }: Snapshot): void {
    const { running } = this.#options;
    if (running?.position === formatPosition(position)) this.#resolver.recall(addressesOf(services, running.plan));
  }

  async #step(snapshot: Snapshot): Promise<void> {
    const { position, services } = snapshot;
    this.#position = formatPosition(position);
    this.#wishes.take(this.#changed, services, (this.#running ?? EMPTY_PLAN).listeners);
    this.#changed.clear();
    // An address that comes from here on makes a step of its own.
    const whole = !this.#resolver.pending;
    // The first map waits for its addresses, not long: with them it is a start, without them a start and a reload.
    if (!this.#applied && !whole) return;
    try {
      const there = await this.#bring();
      if (there && whole) {
        this.#applied = position;
        this.#options.following.applied(position, this.refused.slice(0, MOST_REPORTED));
        this.#options.onApplied?.(snapshot);
      }
      await this.#deleteServers();
    } catch (error) {
      // A first start that fails is a matter of settings; later it may be a full disk, which ends.
      if (!this.#running) throw error;
      this.#log.error("Cannot apply the map: trying again", { reason: error });
      this.#wake.later(RETRY_MS);
    }
  }

  /** Brings HAProxy to what is wanted; answers whether it is there, or a reload is still owed. */
  async #bring(): Promise<boolean> {
    this.#retryPorts();
    if (!this.#running) return await this.#start();
    // HAProxy died and was started again: it runs what is in its files, whatever it had been told.
    if (this.#loads !== this.#options.haproxy.loads) this.#hasLoaded(this.#filed);
    const plan = this.#assign(this.#wishes.wanted, await this.#mayRefill() ? "refill" : "allow");
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
    const start = async (wanted: Wanted) => {
      const plan = this.#assign(wanted, "refill");
      await this.#options.haproxy.start(this.#printer(plan));
      this.#hasLoaded(plan);
    };
    try {
      await start(this.#wishes.wanted);
      this.#wishes.prove();
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      await this.#accuse(error);
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
      await this.#options.haproxy.update(this.#printer(plan), transition.commands);
      this.#running = this.#filed = plan;
      this.#refillLater(plan);
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
    // Where nothing can be told, waiting for old workers would be worse than one more of them.
    const waitMs = this.reloads.waitMs(this.#lost === undefined ? await this.#oldWorkers() : 0);
    if (waitMs > 0) {
      this.#wake.later(waitMs);
      const held = this.#assign(this.#wishes.wanted, "hold");
      if (this.#lost === undefined) await this.#update(held, diff(this.#running ?? EMPTY_PLAN, held));
      return false;
    }
    this.reloads.begin();
    try {
      await this.#options.haproxy.reload(this.#printer(plan));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      await this.#accuse(error);
      return false;
    }
    this.#log.info("Reloaded HAProxy", { reasons });
    this.reloads.done(reasons);
    this.#wishes.prove();
    this.#hasLoaded(plan);
    return true;
  }

  /** HAProxy refuses what is wanted: the services that it cannot take go back to the form that it last ran. */
  async #accuse(refusal: Refused): Promise<void> {
    this.#wake.set();
    // It is asked for again, found to be taken, and had when it is free.
    if (refusal instanceof PortTaken) {
      const asking = [...this.#wishes.wanted.values()].filter(({ localPort }) => localPort === refusal.port);
      if (asking.length > 0) return this.look(asking.map(({ name }) => name));
    }
    const found = await guilty(this.#wishes.unproven, (few) => {
      const plan = settled(this.#assign(this.#wishes.only(few), "refill"));
      return this.#options.data.check(this.#printer(plan)(1).config);
    });
    // Where nobody does harm alone, whatever needs the reload does.
    const services = found.length > 0 ? found : needReload(this.#wishes.wanted, this.#running ?? EMPTY_PLAN);
    if (services.length === 0) throw refusal;
    this.#log.error("HAProxy refuses services as they are: they stay as they were", { services, reason: refusal });
    this.#wishes.revert(services, refusal.message);
  }

  #assign(wanted: Wanted, reloading: Required<Assigning>["reloading"]): HaproxyPlan {
    const { frozen } = this.#wishes;
    return assign(wanted, this.#running ?? EMPTY_PLAN, { reloading, spares: this.#spares, frozen });
  }

  #printer(plan: HaproxyPlan): Printer {
    const position = this.#position;
    return (generation) => print(plan, this.#options.egress, { generation, position });
  }

  /** HAProxy has read its files, which say `plan`. */
  #hasLoaded(plan: HaproxyPlan): void {
    this.#running = this.#filed = settled(plan);
    this.#lost = undefined;
    this.#loads = this.#options.haproxy.loads;
    this.#refillLater(plan);
  }

  #refillLater({ spares }: HaproxyPlan): void {
    const afterMs = this.#refill.left(spares.length);
    if (afterMs !== undefined) this.#wake.later(afterMs);
  }

  /** A port that somebody else had may be free by now. */
  #retryPorts(): void {
    if (this.#wishes.portless.size === 0) return;
    for (const name of this.#wishes.portless) this.#changed.add(name);
    this.#wake.later(this.#options.portRetryMs ?? PORT_RETRY_MS);
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

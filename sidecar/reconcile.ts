/**
 * Keeps HAProxy in step with the map: newest snapshot → render → assign → diff → files → socket or reload → `applied`.
 * Nothing here waits for a clock but reloads, which keep their distance; meanwhile everything else goes on.
 */
import type { Position } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Log } from "../proto/log.ts";
import { formatPosition } from "../proto/position.ts";
import type { Snapshot } from "../sdk-ts/follow.ts";
import type { Routed } from "./access/target.ts";
import { Arrivals } from "./arrivals.ts";
import { print } from "./config/print.ts";
import { revertGuilty } from "./guilty.ts";
import { Refused } from "./haproxy/data_folder.ts";
import type { Printer } from "./haproxy/haproxy.ts";
import { PortTaken } from "./haproxy/new_ports.ts";
import { Down } from "./haproxy/restarts.ts";
import { Unexpected } from "./haproxy/worker.ts";
import { Leaving, without } from "./leaving.ts";
import { localPortProblem } from "./local_ports.ts";
import { Refill } from "./refill.ts";
import { Reloads, waitingFor } from "./reloads.ts";
import type { ReconcileOptions } from "./reconcile_options.ts";
import { Resolver } from "./resolve_host.ts";
import { addressesOf } from "./routing/addresses.ts";
import { assign, type Assigning, settled } from "./routing/assign.ts";
import { diff, type ReloadReason, type Transition } from "./routing/diff.ts";
import { EMPTY_PLAN, type HaproxyPlan, type Wanted } from "./routing/plan.ts";
import { withoutTaken } from "./taken_ports.ts";
import { Wake } from "./wake.ts";
import { WhatRuns } from "./what_runs.ts";
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
  readonly #runs: WhatRuns;
  readonly #arrivals = new Arrivals();
  readonly #changed = new Set<string>();
  #snapshot: Snapshot | undefined;
  /** Of the map that is being applied. */
  #position = "none";

  constructor(options: ReconcileOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#spares = options.spares ?? SPARES;
    this.#refill = new Refill(this.#spares, options.refillAfterMs ?? REFILL_AFTER_MS);
    this.reloads = new Reloads({
      everyMs: options.reloadEveryMs ?? RELOAD_EVERY_MS,
      mostOldWorkers: MOST_OLD_WORKERS,
    });
    this.#runs = new WhatRuns(options.haproxy, options.running);
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
          held: this.#plan.listeners,
          wanted: this.#wishes.wanted,
          frozen: this.#wishes.frozen,
          egress: options.egress.egress,
        }),
    });
    this.#leaving = new Leaving(options.deleteAfterMs ?? DELETE_AFTER_MS, () => this.#wake.set());
  }

  /** Up to where HAProxy routes by the map; `undefined` before the first map. */
  get applied(): Position | undefined {
    return this.#arrivals.newest;
  }

  get refused(): readonly RefusedService[] {
    return this.#wishes.refused;
  }

  /** What HAProxy runs; `undefined` before it was started. */
  get running(): HaproxyPlan | undefined {
    return this.#runs.plan;
  }

  get resolver(): Pick<Resolver, "lookups" | "failedLookups"> {
    return this.#resolver;
  }

  /** What is routed: what HAProxy runs, and the services of the newest map. */
  get routed(): Routed {
    return { plan: this.#plan, services: this.#snapshot?.services ?? new Map() };
  }

  /** Looks at HAProxy, and at these services, again. */
  look(names: Iterable<string> = []): void {
    for (const name of names) this.#changed.add(name);
    this.#wake.set();
  }

  /** Goes on until the signal, or throws: the map cannot be followed, HAProxy cannot be started. Whose map it is ends it. */
  async run(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    // HAProxy may have died before.
    this.#wake.set();
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
        if (failed && !this.running) throw failed.error;
        await this.#turn();
      }
    } finally {
      signal.removeEventListener("abort", stop);
      this.#wake.clear();
      this.#leaving.clear();
      this.#resolver[Symbol.dispose]();
    }
  }

  get #plan(): HaproxyPlan {
    return this.running ?? EMPTY_PLAN;
  }

  /** Whether a reload for spare backends alone is due and may be now; one that may not is looked at again. */
  async #mayRefill(): Promise<boolean> {
    if (!this.#refill.due) return false;
    const waitMs = this.reloads.waitMs(await this.#oldWorkers());
    if (waitMs > 0) this.#wake.later("refill", waitMs);
    return waitMs === 0;
  }

  async #oldWorkers(): Promise<number> {
    return await this.#options.oldWorkers?.() ?? 0;
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

  async #turn(): Promise<void> {
    try {
      if (this.#options.haproxy.down !== undefined) this.#amend();
      else if (this.#snapshot) await this.#step(this.#snapshot);
    } catch (error) {
      // Who tries on to start it says when there is news.
      if (error instanceof Down) return;
      // A first start that fails is a matter of settings; later it may be a full disk, which ends.
      if (!this.running) throw error;
      this.#log.error("Cannot apply the map: trying again", { reason: error });
      this.#wake.later("retry", RETRY_MS);
    }
  }

  /** HAProxy has died and does not start: without the ports that somebody else has taken it may. */
  #amend(): void {
    const { plan, taken } = withoutTaken(this.#runs.filed, this.#options.egress.egress);
    if (taken.size === 0 || !this.#options.haproxy.amend((position) => this.#printer(plan, position))) return;
    this.#log.warn("Starting HAProxy without ports that somebody else has taken", { ports: [...taken.keys()] });
    this.#runs.told(plan);
    this.look(Array.from(taken.values(), ({ service }) => service));
  }

  async #step(snapshot: Snapshot): Promise<void> {
    this.#position = formatPosition(snapshot.position);
    this.#wishes.take(this.#changed, snapshot.services, this.#plan.listeners);
    this.#changed.clear();
    // The first map waits for its addresses, not long: with them it is a start, without them a start and a reload. One
    // that comes from here on makes a step of its own.
    if (!this.#arrivals.expect(snapshot, this.#wishes.pending)) return;
    const waiting = await this.#bring();
    await this.#options.data.sync();
    const reached = waiting && this.#arrivals.reached(waiting);
    if (reached) {
      this.#options.following.applied(reached.position, this.refused.slice(0, MOST_REPORTED));
      this.#options.onApplied?.(reached);
    }
    await this.#deleteServers();
  }

  /** Brings HAProxy to what is wanted, but for services that wait for a reload: answers with these, if that is known. */
  async #bring(): Promise<ReadonlySet<string> | undefined> {
    this.#retryPorts();
    if (!this.running) return await this.#start();
    if (this.#runs.catchUp()) this.#refillLater();
    const plan = this.#assign(this.#wishes.wanted, await this.#mayRefill() ? "refill" : "allow");
    const transition = diff(this.#plan, plan);
    const { unknown } = this.#runs;
    if (transition.kind === "reload" || unknown !== undefined) {
      const reasons = transition.kind === "reload" ? transition.reasons : [];
      const first: readonly ReloadReason[] = unknown === undefined ? [] : [{ kind: "unknown_state", text: unknown }];
      return await this.#reload(settled(plan), [...first, ...reasons]);
    }
    if (!await this.#update(plan, transition)) return undefined;
    this.#wishes.prove();
    return NOBODY;
  }

  async #start(): Promise<ReadonlySet<string> | undefined> {
    const plan = this.#assign(this.#wishes.wanted, "refill");
    return await this.#load(plan, (print) => this.#options.haproxy.start(print)) ? NOBODY : undefined;
  }

  /** Has HAProxy read files that say `plan`; answers whether it takes them. */
  async #load(plan: HaproxyPlan, load: (print: Printer) => Promise<void>): Promise<boolean> {
    try {
      await load(this.#printer(plan));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      await this.#accuse(error);
      return false;
    }
    this.#runs.loaded(plan);
    this.#wishes.prove();
    this.#refillLater();
    return true;
  }

  /** Without a reload; answers whether that worked. */
  async #update(plan: HaproxyPlan, transition: Transition): Promise<boolean> {
    if (transition.kind === "none") {
      // It may know more of servers that are out of use already.
      this.#runs.plan = plan;
      return true;
    }
    if (transition.kind === "reload") throw new Error(`Cannot update HAProxy: ${transition.reasons[0]?.text}`);
    try {
      await this.#options.haproxy.update(this.#printer(plan), transition.commands);
      this.#runs.told(plan);
      this.#refillLater();
      return true;
    } catch (error) {
      if (!(error instanceof Unexpected)) throw error;
      this.#log.warn("The worker did not do what it was told: reloading", { reason: error });
      this.#runs.untold(plan, error.message);
      this.#wake.set();
      return false;
    }
  }

  /** At once if the last reload is long enough ago; else what can be done without it, and a reload later. */
  async #reload(plan: HaproxyPlan, reasons: readonly ReloadReason[]): Promise<ReadonlySet<string> | undefined> {
    const isKnown = this.#runs.unknown === undefined;
    // Where nothing can be told, waiting for old workers would be worse than one more of them.
    const waitMs = this.reloads.waitMs(isKnown ? await this.#oldWorkers() : 0);
    if (waitMs > 0) {
      this.#wake.later("reload", waitMs);
      const held = this.#assign(this.#wishes.wanted, "hold");
      if (!isKnown || !await this.#update(held, diff(this.#plan, held))) return undefined;
      return waitingFor(this.#plan, this.#wishes);
    }
    this.reloads.begin();
    if (!await this.#load(plan, (print) => this.#options.haproxy.reload(print))) return undefined;
    this.#log.info("Reloaded HAProxy", { reasons: reasons.map(({ text }) => text) });
    this.reloads.done(reasons);
    return NOBODY;
  }

  /** HAProxy refuses what is wanted: what it can take is had by another turn. */
  async #accuse(refusal: Refused): Promise<void> {
    this.#wake.set();
    if (refusal instanceof PortTaken) {
      const asking = [...this.#wishes.wanted.values()].filter(({ localPort }) => localPort === refusal.port);
      // The port for all: no service is to blame.
      if (asking.length === 0) throw refusal;
      // They are taken in again: without the port, until it is free.
      return this.look(asking.map(({ name }) => name));
    }
    const services = await revertGuilty(refusal, this.#wishes, this.#plan, (wanted) => {
      const plan = settled(this.#assign(wanted, "refill"));
      return this.#options.data.check(this.#printer(plan)(1).config);
    });
    this.#log.error("HAProxy refuses services as they are: they stay as they were", { services, reason: refusal });
  }

  #assign(wanted: Wanted, reloading: Required<Assigning>["reloading"]): HaproxyPlan {
    const { frozen } = this.#wishes;
    return assign(wanted, this.#plan, { reloading, spares: this.#spares, frozen });
  }

  #printer(plan: HaproxyPlan, position = this.#position): Printer {
    return (generation) => print(plan, this.#options.egress, { generation, position });
  }

  #refillLater(): void {
    const afterMs = this.#refill.left(this.#plan.spares.length);
    if (afterMs !== undefined) this.#wake.later("refill", afterMs);
  }

  /** A port that somebody else had may be free by now. */
  #retryPorts(): void {
    if (this.#wishes.portless.size === 0) return;
    for (const name of this.#wishes.portless) this.#changed.add(name);
    this.#wake.later("ports", this.#options.portRetryMs ?? PORT_RETRY_MS);
  }

  async #deleteServers(): Promise<void> {
    const { running } = this;
    if (!running || this.#runs.unknown !== undefined) return;
    const due = this.#leaving.due(running);
    const gone = due.length > 0 ? await this.#options.haproxy.deleteServers(due) : [];
    this.#leaving.watch(this.#runs.plan = without(running, gone));
  }
}

const NOBODY: ReadonlySet<string> = new Set();

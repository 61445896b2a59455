/**
 * Leaves out instances that do not answer, for a while, on this host alone: nothing of it is reported. It is judged by
 * what has ended, by the rule of `sdk-ts/ejection.ts`.
 */
import type { Log } from "../../proto/log.ts";
import { Ejections } from "../../sdk-ts/ejection.ts";
import { type Ports, REAL } from "../../sdk-ts/ports.ts";
import { isSlot } from "../routing/slot.ts";
import { type Ended, failedConnects, verdictOf } from "./ended.ts";

export interface EjectingOptions {
  /** The service of a slot; `undefined` of one that is not in use any more. */
  serviceOf(slot: string): string | undefined;
  /** The instances of a service that calls may go to. */
  instancesOf(service: string): ReadonlySet<string>;
  /**
   * How often each server of a slot could not be connected to, by server, since the worker was started; `worker` tells
   * one from the next.
   */
  connectFailures(slot: string): Promise<{ readonly worker: number; readonly counts: ReadonlyMap<string, number> }>;
  /** Somebody of this service is out, or back. */
  onChange(service: string): void;
  readonly log: Log;
}

/** One that is left out now. */
export interface EjectedInstance {
  readonly service: string;
  readonly instance: string;
  /** In ms from now. */
  readonly forMs: number;
}

/** How long failures to connect may gather before HAProxy is asked whom they concern. */
const GATHER_MS = 50;

/** Judges what it hears of until disposed; from then on it asks HAProxy nothing and tells of no change. */
export class Ejecting implements Disposable {
  readonly #options: EjectingOptions;
  readonly #ports: Pick<Ports, "sleep" | "now">;
  readonly #stop = new AbortController();
  readonly #services = new Map<string, Ejections>();
  /** Failures to connect that are counted already, by slot. */
  readonly #counted = new Map<string, { readonly worker: number; readonly counts: ReadonlyMap<string, number> }>();
  /** How many failures lines have told of, by slot, since HAProxy was asked whom they concern. */
  readonly #told = new Map<string, number>();
  #asking = false;

  constructor(options: EjectingOptions, ports: Pick<Ports, "sleep" | "now"> = REAL) {
    this.#options = options;
    this.#ports = ports;
  }

  /** Takes in what has ended. Whom failures to connect concern is asked a moment later; that it cannot be is logged. */
  heard(ended: Ended): void {
    const { backend, server } = ended;
    if (!isSlot(backend)) return;
    const failures = failedConnects(ended);
    if (failures > 0) this.#ask(backend, failures);
    const verdict = verdictOf(ended);
    const service = verdict === "nothing" ? undefined : this.#options.serviceOf(backend);
    if (service === undefined || server === undefined) return;
    if (verdict === "failed") this.#failed(service, server, 1);
    else this.#services.get(service)?.answered(server);
  }

  isEjected(service: string, instance: string): boolean {
    return this.#ports.now() < (this.#services.get(service)?.until(instance) ?? 0);
  }

  /** Those that are out now. */
  get ejected(): readonly EjectedInstance[] {
    const now = this.#ports.now();
    return [...this.#services].flatMap(([service, ejections]) =>
      ejections.ejected(now).map((instance) => ({
        service,
        instance,
        forMs: Math.round(ejections.until(instance) - now),
      }))
    );
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
  }

  #failed(service: string, instance: string, times: number): void {
    if (times <= 0) return;
    const there = this.#options.instancesOf(service);
    let ejections = this.#services.get(service);
    if (!ejections) {
      this.#forgetGone();
      this.#services.set(service, ejections = new Ejections());
    }
    ejections.keep(there);
    if (!there.has(instance)) return;
    const now = this.#ports.now();
    for (let time = 0; time < times; time++) {
      if (!ejections.failed(instance, now, there.size)) continue;
      const forMs = Math.round(ejections.until(instance) - now);
      this.#options.log.warn("An instance does not answer: leaving it out on this host", { service, instance, forMs });
      this.#options.onChange(service);
      void this.#ports.sleep(forMs + 1, this.#stop.signal).then(() => {
        if (!this.#stop.signal.aborted) this.#options.onChange(service);
      });
    }
  }

  /** Before either grows: no more is known than of what is there. Instances are forgotten service by service. */
  #forgetGone(): void {
    const { serviceOf, instancesOf } = this.#options;
    for (const service of this.#services.keys()) if (instancesOf(service).size === 0) this.#services.delete(service);
    for (const slot of this.#counted.keys()) if (serviceOf(slot) === undefined) this.#counted.delete(slot);
  }

  /** The line of a request that went on to another instance does not name the one that it could not reach. */
  #ask(slot: string, failures: number): void {
    this.#told.set(slot, (this.#told.get(slot) ?? 0) + failures);
    if (!this.#asking) void this.#askAll();
  }

  async #askAll(): Promise<void> {
    this.#asking = true;
    while (this.#told.size > 0) {
      await this.#ports.sleep(GATHER_MS, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      const told = [...this.#told];
      this.#told.clear();
      for (const [slot, failures] of told) await this.#count(slot, failures);
    }
    this.#asking = false;
  }

  async #count(slot: string, told: number): Promise<void> {
    try {
      const now = await this.#options.connectFailures(slot);
      const before = this.#counted.get(slot);
      if (!before) this.#forgetGone();
      this.#counted.set(slot, now);
      const service = this.#options.serviceOf(slot);
      if (service === undefined || this.#stop.signal.aborted) return;
      for (const [instance, count] of now.counts) {
        const known = before?.worker === now.worker ? before.counts.get(instance) ?? 0 : 0;
        // At first it is not known what is of before our time: HAProxy may run for longer than we do.
        this.#failed(service, instance, before ? count - known : Math.min(count, told));
      }
    } catch (error) {
      this.#options.log.warn("Cannot ask HAProxy who could not be connected to", { reason: error });
    }
  }
}

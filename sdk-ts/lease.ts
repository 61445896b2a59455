import { type ServiceError, status as code } from "@grpc/grpc-js";
import type { Instance_Status } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { RegisterResponse } from "../proto/gen/portolan/v1/registry_pb.ts";
import type { Log } from "../proto/log.ts";
import { reconnectDelay } from "./backoff.ts";
import { ControlPlanes } from "./control_planes.ts";
import type { Ports } from "./ports.ts";
import { reasonOf } from "./reason.ts";
import { type Beats, openBeats } from "./renew.ts";

/** An instance that a lease holds, or shall hold. */
export interface Tenant {
  readonly realm: string;
  readonly service: string;
  readonly id: string;
  /** What is observed of it; `undefined`: nothing was so far. */
  readonly status: Instance_Status | undefined;
  /** Registers it again: the lease that held it is over, or it may be gone though lease `doubted` stands. */
  again(doubted?: string): void;
}

export interface LeaseOptions {
  /** `host:port` of each, one at least. */
  readonly controlPlanes: readonly string[];
  readonly ttlMs: number;
  readonly log: Log;
  /** The id of one to go on with, which an earlier process held, in place of opening one. */
  readonly resume?: string;
}

/** An instance is on the map, held by this lease. */
export type Holding = Pick<RegisterResponse, "revision" | "leaseId">;
type Attempt = (leaseId: string) => Promise<Holding>;

const BEATS_PER_TTL = 3;
/** What holds a tenant while no lease does. */
const NONE = "";

/**
 * One lease for all instances of this process that have the same ttl and control planes, kept by one stream of beats:
 * three per ttl, the first one right away. It opens with the first instance that registers, and anew after it was lost.
 */
export class Lease {
  readonly controlPlanes: ControlPlanes;
  readonly #key: string;
  readonly #log: Log;
  readonly #ports: Ports;
  readonly #ttlMs: number;
  readonly #periodMs: number;
  /** Each with the lease that holds it. */
  readonly #tenants = new Map<Tenant, string>();
  /** Statuses that the control plane knows. */
  readonly #told = new Map<Tenant, Instance_Status>();
  readonly #stop = new AbortController();
  #id = NONE;
  #opening: Promise<unknown> | undefined;
  #opened = Promise.withResolvers<void>();
  /** When it was opened, or the last beat was sent that it stood at. */
  #stoodAt = 0;
  /** A beat was good for it. */
  #proven = false;
  /** Of the map that it was last heard to stand in. */
  #epoch: bigint | undefined;
  /** Beats in a row that were not answered. */
  #failures = 0;
  #beating: Promise<void> | undefined;
  /** Aborted: the next beat is due. */
  #hurried = new AbortController();

  /** The lease that `tenant` shares with others; it stays a tenant until it leaves. */
  static join(tenant: Tenant, options: LeaseOptions, ports: Ports): Lease {
    const key = [options.ttlMs, ...options.controlPlanes].join();
    const lease = shared.get(key) ?? new Lease(key, options, ports);
    shared.set(key, lease);
    lease.#tenants.set(tenant, NONE);
    return lease;
  }

  private constructor(key: string, { controlPlanes, ttlMs, log, resume }: LeaseOptions, ports: Ports) {
    this.controlPlanes = new ControlPlanes(controlPlanes);
    this.#key = key;
    this.#log = log;
    this.#ports = ports;
    this.#ttlMs = ttlMs;
    this.#periodMs = ttlMs / BEATS_PER_TTL;
    if (resume) this.#goOnWith(resume);
  }

  /** Whether the map has the tenant, as far as is known here: its lease was renewed within the ttl. */
  holds(tenant: Tenant): boolean {
    return this.#id !== NONE && this.#tenants.get(tenant) === this.#id && this.#fresh;
  }

  /** One try to register under the lease: with its id, or with none to open one. While another try opens it, this waits. */
  async register(tenant: Tenant, attempt: Attempt, signal: AbortSignal): Promise<Holding> {
    for (;;) {
      while (this.#opening) await either(this.#opening, signal);
      const leaseId = this.#id;
      try {
        const response = await (leaseId === NONE ? this.#open(tenant, attempt) : attempt(leaseId));
        const held = leaseId === NONE ? response.leaseId : leaseId;
        // It may be over since.
        if (held !== this.#id) continue;
        this.#tenants.set(tenant, held);
        this.#told.delete(tenant);
        return response;
      } catch (error) {
        if (leaseId === NONE || (error as Partial<ServiceError>).code !== code.NOT_FOUND) throw error;
        this.#lose(leaseId);
      }
    }
  }

  /** What tenants observe is told at once, in place of with the next beat. */
  hurry(): void {
    this.#hurried.abort();
  }

  /** With the last tenant the beats end. */
  async leave(tenant: Tenant): Promise<void> {
    this.#tenants.delete(tenant);
    this.#told.delete(tenant);
    if (this.#tenants.size > 0) return;
    if (shared.get(this.#key) === this) shared.delete(this.#key);
    this.#stop.abort();
    this.#opened.resolve();
    await this.#beating;
  }

  get #fresh(): boolean {
    return this.#ports.now() - this.#stoodAt < this.#ttlMs;
  }

  /** Its tenants have to say of themselves that they are held. */
  #goOnWith(leaseId: string): void {
    this.#id = leaseId;
    this.#stoodAt = this.#ports.now();
    // To whoever held it before.
    this.#proven = true;
    this.#opened.resolve();
    this.#beating = this.#beat();
  }

  async #open(tenant: Tenant, attempt: Attempt): Promise<Holding> {
    const opening = Promise.withResolvers<void>();
    this.#opening = opening.promise;
    try {
      const response = await attempt(NONE);
      if (response.leaseId === NONE) {
        throw new Error("Cannot hold an instance: the control plane answers with no lease");
      }
      this.#id = response.leaseId;
      this.#stoodAt = this.#ports.now();
      this.#proven = false;
      this.#epoch = undefined;
      this.#told.clear();
      this.#tenants.set(tenant, this.#id);
      this.#opened.resolve();
      if (!this.#stop.signal.aborted) this.#beating ??= this.#beat();
      return response;
    } finally {
      this.#opening = undefined;
      opening.resolve();
    }
  }

  #lose(leaseId: string): void {
    if (leaseId !== this.#id) return;
    const lost = [...this.#tenants].filter(([, held]) => held === leaseId).map(([tenant]) => tenant);
    this.#log.warn("The lease is over: registering again", { instances: lost.length });
    this.#id = NONE;
    if (!this.#stop.signal.aborted) this.#opened = Promise.withResolvers();
    for (const tenant of lost) this.#tenants.set(tenant, NONE);
    const again = () => {
      for (const tenant of lost) if (this.#tenants.has(tenant)) tenant.again();
    };
    // Where no beat was good for it the next one may be no better, and each is a write.
    if (this.#proven) again();
    else this.#ports.sleep(this.#periodMs, this.#stop.signal).then(again);
  }

  async #beat(): Promise<void> {
    const { sleep, random } = this.#ports;
    while (!this.#stop.signal.aborted) {
      const { address, at } = this.controlPlanes.current;
      try {
        using beats = openBeats(address);
        await this.#beatOver(beats);
      } catch (error) {
        if (this.#stop.signal.aborted) return;
        const reason = reasonOf(error);
        this.#log.warn("A beat of the lease was not answered", { controlPlane: address, reason });
        this.controlPlanes.failed(at);
        await sleep(Math.min(reconnectDelay(++this.#failures, random), this.#periodMs), this.#stop.signal);
      }
    }
  }

  /** Beats over one stream, until it fails. */
  async #beatOver(beats: Beats): Promise<void> {
    const { now, sleep } = this.#ports;
    // What was said over another one may not have arrived.
    this.#told.clear();
    for (;;) {
      await this.#opened.promise;
      if (this.#stop.signal.aborted) return;
      const [leaseId, sentAt] = [this.#id, now()];
      this.#hurried = new AbortController();
      await this.#beatOnce(beats, leaseId, sentAt);
      this.#failures = 0;
      // Another one waits for its first beat, or to be opened.
      const hurried = AbortSignal.any([this.#hurried.signal, this.#stop.signal]);
      if (leaseId === this.#id) await sleep(Math.max(0, sentAt + this.#periodMs - now()), hurried);
    }
  }

  async #beatOnce(beats: Beats, leaseId: string, sentAt: number): Promise<void> {
    // Who was silent for a whole ttl may have been kept all the same, as one that nobody observes.
    if (!this.#fresh) this.#told.clear();
    const changed = [...this.#tenants].flatMap(([tenant, held]) => {
      const { realm, service, id, status } = tenant;
      if (held !== leaseId || status === undefined || status === this.#told.get(tenant)) return [];
      return [{ tenant, said: { realm, service, id, status } }];
    });
    const { alive, epoch } = await this.#inTime(beats.beat({ leaseId, statuses: changed.map(({ said }) => said) }));
    if (leaseId !== this.#id) return;
    if (!alive) return this.#lose(leaseId);
    for (const { tenant, said } of changed) this.#told.set(tenant, said.status);
    const silentMs = Math.round(this.#ports.now() - this.#stoodAt);
    this.#stoodAt = sentAt;
    this.#proven = true;
    if (this.#failures > 0 || silentMs >= this.#ttlMs) this.#log.info("The lease is renewed again", { silentMs });
    const isOther = this.#epoch !== undefined && epoch !== this.#epoch;
    this.#epoch = epoch;
    if (isOther || silentMs >= this.#ttlMs) this.#doubt(leaseId);
  }

  /** Some of what it held may be gone, while it stands for others: let go, or not known to a store that was put back. */
  #doubt(leaseId: string): void {
    const doubtful = [...this.#tenants].filter(([, held]) => held === leaseId).map(([tenant]) => tenant);
    for (const tenant of doubtful) this.#tenants.set(tenant, NONE);
    for (const tenant of doubtful) tenant.again(leaseId);
  }

  async #inTime<T>(answer: Promise<T>): Promise<T> {
    const answered = new AbortController();
    const late = this.#ports.sleep(this.#periodMs, AbortSignal.any([answered.signal, this.#stop.signal])).then(() => {
      throw new Error(`nothing came for ${Math.round(this.#periodMs)} ms`);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      answered.abort();
    }
  }
}

const shared = new Map<string, Lease>();

/** Ends with the promise or with the signal. */
async function either(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  const aborted = Promise.withResolvers<void>();
  const abort = () => aborted.resolve();
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  await Promise.race([promise, aborted.promise]);
  signal.removeEventListener("abort", abort);
  signal.throwIfAborted();
}

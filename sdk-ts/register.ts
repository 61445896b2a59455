import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type ServiceError, status as code } from "@grpc/grpc-js";
import { Instance_Status } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { RegisterRequestSchema } from "../proto/gen/portolan/v1/registry_pb.ts";
import { type Log, SILENT } from "../proto/log.ts";
import { ControlPlanes } from "./control_planes.ts";
import { type Holding, Lease, type Tenant } from "./lease.ts";
import { type Ports, REAL } from "./ports.ts";
import { reasonOf } from "./reason.ts";
import { retryWrite, type Write } from "./retry_write.ts";

export interface RegisterOptions {
  /** `host:port` of each; tried in turn. */
  readonly controlPlanes: readonly string[];
  readonly realm: string;
  readonly service: string;
  /** Unique in the service; registering it again replaces what is said here. */
  readonly id: string;
  readonly instance: {
    readonly host: string;
    readonly port: number;
    /** Default 1. */
    readonly version?: number;
    /** 0 to 256, default 100. */
    readonly weight?: number;
    readonly zone?: string;
    readonly hostId?: string;
    readonly metadata?: Readonly<Record<string, string>>;
    /** How long it stays without a sign of life, in ms: 1 s to 24 h. Without it, it stays for good. */
    readonly ttlMs?: number;
  };
  /** For people. */
  readonly reason?: string;
  readonly log?: Log;
  /** Ends the trying. */
  readonly signal?: AbortSignal;
}

/** What a registrar says of an instance; defaults as in {@link RegisterOptions}. */
export type InstanceForm = Omit<RegisterOptions["instance"], "ttlMs">;

export interface KeepOptions extends Omit<RegisterOptions, "instance" | "signal"> {
  readonly instance: InstanceForm;
  /** How long it stays without a sign of life, in ms: 1 s to 24 h. */
  readonly ttlMs: number;
  /**
   * A lease that an earlier process released: all of this process that are as long-lived go on with it, if it stands.
   * `held`: this instance is on the map under it, in this form; it is registered only where it is gone.
   */
  readonly resume?: { readonly leaseId: string; readonly held: boolean };
  /** It is on the map in this form, held by this lease: at first, and whenever it was registered again. */
  readonly onHeld?: (leaseId: string, form: InstanceForm) => void;
}

/** An instance that is being kept on the map, whatever refuses it, until released. */
export interface Keeping {
  /** Since when the map has it as it was last registered here; 0: not registered by this process. */
  readonly revision: bigint;
  /** Whether the map holds it, as far as is known here. */
  readonly alive: boolean;
  /** Why the last try failed; `undefined` once the map has it as it is to be. */
  readonly lastError: string | undefined;
  /** Is said at once where the map has it, else as soon as it has. */
  report(status: ObservedStatus): void;
  /** Says something else of it from now on. */
  change(form: InstanceForm): void;
  /** It is put on the map no more. Where it is there, the lease that holds it goes on being renewed. */
  retire(): void;
  /** Ends it, and leaves it on the map for the ttl: another process may resume the lease. */
  release(): Promise<void>;
}

/** What is observed of an instance. */
export type ObservedStatus = "passing" | "failing" | "unknown";

/** An instance on the map, until disposed: then it is deregistered, or an error says that it could not be. */
export interface Registration extends AsyncDisposable {
  /** Since when the map holds it. */
  readonly revision: bigint;
  /** Whether the map holds it, as far as is known here. What was lost is registered again. */
  readonly alive: boolean;
  /** Is said with the next beat; a permanent instance has none, and this throws. */
  report(status: ObservedStatus): void;
}

/** Who shuts down does not wait longer than this for a control plane that is gone. */
const FAREWELL_MS = 5_000;

/**
 * Puts an instance on the map. Tries until a control plane answers or the signal ends it; throws a refusal. With a ttl
 * the instance is kept there by beats, over one stream and under one lease for all of a process that are as long-lived.
 */
export async function register(options: RegisterOptions, ports: Ports = REAL): Promise<Registration> {
  const registration = new Registered(options, ports);
  await registration.arrive();
  return registration;
}

/** Puts an instance on the map, and keeps it there, without waiting for a control plane. Throws bad options. */
export function keepRegistered({ ttlMs, ...options }: KeepOptions, ports: Ports = REAL): Keeping {
  const { resume, onHeld } = options;
  const registered = new Registered({ ...options, instance: { ...options.instance, ttlMs } }, ports, {
    prompt: true,
    ...(resume && { resume: resume.leaseId }),
    ...(onHeld && { onHeld }),
  });
  registered.again(resume?.held ? resume.leaseId : undefined);
  return registered;
}

interface Manner {
  /** What is observed does not wait for the next beat. */
  readonly prompt?: boolean;
  readonly resume?: string;
  readonly onHeld?: KeepOptions["onHeld"];
}

class Registered implements Registration, Keeping, Tenant {
  readonly realm: string;
  readonly service: string;
  readonly id: string;
  revision = 0n;
  status: Instance_Status | undefined;
  lastError: string | undefined;
  readonly #options: RegisterOptions;
  readonly #manner: Manner;
  readonly #ports: Ports;
  readonly #name: string;
  readonly #log: Log;
  readonly #lease: Lease | undefined;
  readonly #controlPlanes: ControlPlanes;
  readonly #leaving = new AbortController();
  readonly #ttlMs: number | undefined;
  #form: InstanceForm;
  /** An attempt was under way when it was given up. */
  #cutShort = false;
  #returning: Promise<void> | undefined;
  #isReturning = false;
  /** It has to be registered again: for sure, or where the lease of this id holds it no more. */
  #owed: string | undefined;
  #left: Promise<void> | undefined;

  constructor(options: RegisterOptions, ports: Ports, manner: Manner = {}) {
    const { realm, service, id, controlPlanes, instance: { ttlMs, ...form }, log = SILENT } = options;
    const { resume } = manner;
    this.realm = realm;
    this.service = service;
    this.id = id;
    this.#options = options;
    this.#manner = manner;
    this.#form = form;
    this.#ttlMs = ttlMs;
    this.#ports = ports;
    this.#name = `${service}/${id}`;
    this.#log = log;
    if (controlPlanes.length === 0) throw new TypeError(`Cannot register "${this.#name}": no control plane is named`);
    if (ttlMs !== undefined && !(ttlMs > 0 && ttlMs < Infinity)) {
      throw new RangeError(`Cannot register "${this.#name}" with ttlMs ${ttlMs}: expected 1 s to 24 h, in ms`);
    }
    this.#lease = ttlMs === undefined
      ? undefined
      : Lease.join(this, { controlPlanes, ttlMs, log, ...(resume && { resume }) }, ports);
    this.#controlPlanes = this.#lease?.controlPlanes ?? new ControlPlanes(controlPlanes);
  }

  get alive(): boolean {
    return this.#lease?.holds(this) ?? true;
  }

  report(status: ObservedStatus): void {
    if (!this.#lease) throw new TypeError(`Cannot report "${this.#name}" as ${status}: it is registered for good`);
    const before = this.status;
    this.status = STATUSES[status];
    if (this.#manner.prompt && this.status !== before) this.#lease.hurry();
  }

  change(form: InstanceForm): void {
    this.#form = form;
    this.again();
  }

  retire(): void {
    this.#leaving.abort();
  }

  async release(): Promise<void> {
    this.#leaving.abort();
    await this.#returning;
    await this.#lease?.leave(this);
  }

  async arrive(): Promise<void> {
    try {
      await this.#register(this.#options.signal ?? this.#leaving.signal);
    } catch (error) {
      // An attempt that was given up may have been done; nobody would be there to undo it later.
      if (this.#cutShort) await this.#leave().catch(() => {});
      else await this.#lease?.leave(this);
      throw error;
    }
  }

  again(doubted?: string): void {
    if (this.#leaving.signal.aborted) return;
    // Where it has to be said in any case, a doubt adds nothing.
    if (this.#owed === undefined || !doubted) this.#owed = doubted ?? FOR_SURE;
    if (!this.#isReturning) this.#returning = this.#return();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#left ??= this.#leave();
  }

  async #return(): Promise<void> {
    this.#isReturning = true;
    for (; this.#owed !== undefined && !this.#leaving.signal.aborted;) {
      const doubted = this.#owed;
      this.#owed = undefined;
      await this.#returnOnce(doubted);
    }
    this.#isReturning = false;
  }

  async #returnOnce(doubted: string): Promise<void> {
    const { revision: before } = this;
    try {
      await this.#register(this.#leaving.signal, { despiteRefusals: true, doubted });
      const { realm, revision } = this;
      const what = before === 0n ? "Registered" : "Registered again";
      if (revision !== before) this.#log.info(what, { realm, instance: this.#name, revision });
    } catch (error) {
      if (!this.#leaving.signal.aborted) this.#log.error("Cannot register again", { reason: error });
    }
  }

  async #leave(): Promise<void> {
    this.#leaving.abort();
    await this.#returning;
    await this.#lease?.leave(this);
    const { realm, service, id } = this;
    const options = this.#writeOptions();
    await this.#write({
      what: `deregister "${this.#name}"`,
      signal: AbortSignal.timeout(FAREWELL_MS),
      attempt: (client, call) => client.deregister({ realm, service, id, options }, call).then(() => {}, unlessGone),
    });
  }

  async #register(signal: AbortSignal, { despiteRefusals = false, doubted = FOR_SURE }: Return = {}): Promise<void> {
    const requests = new Map<string, MessageInitShape<typeof RegisterRequestSchema>>();
    let [form, doubts] = [this.#form, doubted];
    const isDoubted = (leaseId: string) => doubts !== FOR_SURE && leaseId === doubts;
    // A write under another lease is another write: as a repeat of the first it would be answered with that one's lease.
    const requestOf = (leaseId: string) => {
      if (form !== this.#form) {
        [form, doubts] = [this.#form, FOR_SURE];
        requests.clear();
      }
      const request = requests.get(leaseId) ?? this.#request(leaseId, isDoubted(leaseId));
      requests.set(leaseId, request);
      return request;
    };
    const { revision, leaseId } = await this.#write({
      despiteRefusals,
      what: `register "${this.#name}"`,
      signal,
      attempt: (client, call) => {
        const attempt = async (leaseId: string): Promise<Holding> => {
          try {
            return await client.register(requestOf(leaseId), call);
          } catch (error) {
            const { code: why } = error as Partial<ServiceError>;
            // What was doubted is there.
            if (isDoubted(leaseId) && why === code.FAILED_PRECONDITION) return { revision: this.revision, leaseId };
            this.lastError = reasonOf(error);
            throw error;
          } finally {
            this.#cutShort = signal.aborted;
          }
        };
        return this.#lease ? this.#lease.register(this, attempt, signal) : attempt("");
      },
    });
    this.revision = revision;
    this.lastError = undefined;
    this.#manner.onHeld?.(leaseId, form);
    if (this.#manner.prompt && this.status !== undefined) this.#lease?.hurry();
  }

  #request(leaseId: string, doubted: boolean): MessageInitShape<typeof RegisterRequestSchema> {
    const { realm, service, id } = this;
    const ttl = this.#ttlMs === undefined ? {} : { ttl: durationFromMs(this.#ttlMs) };
    const spec = { ...this.#form, ...ttl, metadata: { ...this.#form.metadata } };
    // To register what is there would undo what others have done to it: it would drain no more.
    const options = { ...this.#writeOptions(), ...(doubted && { expectedRevision: 0n }) };
    return { realm, service, id, instance: spec, leaseId, options };
  }

  #writeOptions() {
    return { reason: this.#options.reason ?? "", operationId: crypto.randomUUID() };
  }

  #write<T>(write: Omit<Write<T>, "controlPlanes" | "log">): Promise<T> {
    return retryWrite({ ...write, controlPlanes: this.#controlPlanes, log: this.#log }, this.#ports);
  }
}

interface Return {
  readonly despiteRefusals?: boolean;
  /** The lease that may hold it all the same; default none. */
  readonly doubted?: string;
}

/** No lease may hold it. */
const FOR_SURE = "";

const STATUSES: Readonly<Record<ObservedStatus, Instance_Status>> = {
  passing: Instance_Status.PASSING,
  failing: Instance_Status.FAILING,
  unknown: Instance_Status.UNKNOWN,
};

// Deregistered by somebody else, or by an attempt whose answer was lost.
function unlessGone(error: ServiceError): void {
  if (error.code !== code.NOT_FOUND) throw error;
}

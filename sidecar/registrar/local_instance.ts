/** One instance of this host: on the map and checked while a file says so, drained and taken off once none does. */
import type { Service } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { DEFAULT_CHECK } from "../../proto/limits.ts";
import type { Log } from "../../proto/log.ts";
import type { ControlPlanes } from "../../sdk-ts/control_planes.ts";
import type { Ports } from "../../sdk-ts/ports.ts";
import { type Keeping, keepRegistered } from "../../sdk-ts/register.ts";
import { type Check, checkOf, type CheckStatus } from "./check.ts";
import { Checker } from "./checker.ts";
import { type Home, hostIdIn, type InstanceSpec, specOf, textOfSpec } from "./instance_spec.ts";
import type { Ledger, Note } from "./ledger.ts";
import type { probe } from "./probe.ts";
import { type Entry, type FileProblem, keyOf } from "./roll.ts";
import { takeOff } from "./take_off.ts";

/** What all instances of a host share. */
export interface Host {
  readonly realm: string;
  /** `host:port` of each. */
  readonly addresses: readonly string[];
  /** The same, for writes of our own. */
  readonly controlPlanes: ControlPlanes;
  readonly home: Home;
  readonly ttlMs: number;
  readonly ledger: Ledger;
  /** As the map has it; `undefined` where that is not known. */
  readonly serviceOf: (name: string) => Service | undefined;
  /** Whether enough is known of the map to tell who has an instance. */
  readonly isMapKnown: () => boolean;
  readonly probe: typeof probe;
  readonly log: Log;
  readonly ports: Ports;
  /** It is off the map; `rest` is what is left of it. */
  readonly onGone: (instance: LocalInstance, rest: Promise<unknown>) => void;
}

/** For people and programs. */
export interface InstanceView {
  readonly service: string;
  readonly id: string;
  /** The file's name. */
  readonly file: string;
  readonly host: string;
  readonly port: number;
  readonly status: CheckStatus;
  /** Since when the status is so, RFC 3339. */
  readonly since: string;
  /** Whether the map has it, as far as is known here. */
  readonly registered: boolean;
  /** Why it is not registered, or else why the last check failed. */
  readonly lastError?: string;
}

const RETRY_MS = 5_000;
const MAP_EVERY_MS = 50;

export class LocalInstance {
  readonly key: string;
  readonly #host: Host;
  readonly #ending = new AbortController();
  readonly #farewell = new AbortController();
  #entry: Entry;
  #isWanted = true;
  /** It may be on the map by us. */
  #isOurs: boolean;
  /** Whose name it may have there beside our own: that of this host before. */
  readonly #formerHostId: string | undefined;
  #keeping: Keeping | undefined;
  /** None before it is known how to check. */
  #checker: Checker | undefined;
  #status: CheckStatus;
  /** When the status became what it is. */
  #since = new Date();
  /** Of the last check. */
  #checkError: string | undefined;
  /** Text of the spec that it is kept in. */
  #kept = "";
  /** The host that has it. */
  #rival: string | undefined;
  #back = new AbortController();
  #departing: Promise<void> | undefined;

  /** `note` is what the sidecar before noted of it; one of those may be on the map and wanted no more. */
  constructor(
    host: Host,
    entry: Entry,
    { note, isWanted = true }: { note?: Note | undefined; isWanted?: boolean } = {},
  ) {
    this.#host = host;
    this.#entry = entry;
    this.key = keyOf(entry.file);
    this.#isOurs = note !== undefined;
    this.#formerHostId = note?.said === undefined ? undefined : hostIdIn(note.said);
    this.#status = note?.status ?? "unknown";
    const { leaseId } = host.ledger;
    if (!isWanted) this.leave();
    else if (leaseId !== undefined && note) this.#keep({ leaseId, held: note.said === textOfSpec(this.#spec) });
    else this.look();
  }

  get view(): InstanceView {
    const { service, id } = this.#entry.file;
    const { host, port } = this.#spec;
    const status = this.#status;
    const since = this.#since.toISOString();
    const registered = this.#keeping?.alive ?? false;
    const lastError = this.problem?.reason ?? this.#keeping?.lastError ?? this.#checkError;
    return {
      ...{ service, id, file: this.#entry.name, host, port, status, since, registered },
      ...(lastError !== undefined && { lastError }),
    };
  }

  /** Why it cannot be registered. */
  get problem(): FileProblem | undefined {
    if (this.#rival === undefined || !this.#isWanted) return undefined;
    const reason = `"id" "${this.#entry.file.id}": host "${this.#rival}" has an instance "${this.key}" on the map; ` +
      `give one of them another "id", or deregister that one`;
    return { file: this.#entry.name, reason };
  }

  /** Whether it waits for the map, to see who has it. */
  get isWaiting(): boolean {
    return this.#isWanted && !this.#keeping && !this.#departing && !this.#host.isMapKnown();
  }

  /** Its file says so now. */
  want(entry: Entry): void {
    if (this.#isWanted && entry.name === this.#entry.name && entry.text === this.#entry.text) return;
    this.#entry = entry;
    this.#host.ledger.note(entry, { isLeaving: false });
    void this.#host.ledger.save();
    this.#isWanted = true;
    this.#checker?.poke();
    this.#back.abort();
    this.look();
  }

  /** Looks whether it can be registered, as it is to be, and whether another host has taken it. */
  look(): void {
    if (!this.#isWanted || this.#departing) return;
    if (!this.#keeping && !this.#host.isMapKnown()) return;
    this.#rival = this.#rivalNow();
    if (this.#rival === undefined) this.#keep();
    else if (this.#keeping) this.#yield(this.#keeping);
  }

  /** No file says it any more. */
  leave(): void {
    if (!this.#isWanted) return;
    this.#isWanted = false;
    // Whoever finds it again has to end its drain.
    this.#host.ledger.note(this.#entry, { isLeaving: true, said: undefined });
    void this.#host.ledger.save();
    this.#departing ??= this.#depart();
  }

  /** The sidecar ends, and its instances stay: whoever comes next goes on with them. */
  async release(): Promise<void> {
    this.#ending.abort();
    await Promise.all([this.#departing, this.#checker?.[Symbol.asyncDispose](), this.#keeping?.release()]);
  }

  /** The sidecar leaves for good: this instance is taken off, as far as that is done within seconds. */
  async leaveForGood(): Promise<void> {
    this.#farewell.abort();
    this.leave();
    await this.#departing;
    await this.release();
  }

  get #spec(): InstanceSpec {
    return specOf(this.#entry.file, this.#host.home);
  }

  get #check(): Check {
    const { check, service } = this.#entry.file;
    if (check) return check;
    const said = this.#host.serviceOf(service)?.spec?.check;
    return said ? checkOf(said) : DEFAULT_CHECK;
  }

  /** Another host that has it; only what was said after us counts against us. */
  #rivalNow(): string | undefined {
    const { service, id } = this.#entry.file;
    const found = this.#host.serviceOf(service)?.instances.find((one) => one.id === id);
    if (!found?.hostId || found.hostId === this.#host.home.hostId || found.hostId === this.#formerHostId) {
      return undefined;
    }
    return this.#keeping && found.modified <= this.#keeping.revision ? undefined : found.hostId;
  }

  #keep(resume?: { readonly leaseId: string; readonly held: boolean }): void {
    const spec = this.#spec;
    const text = textOfSpec(spec);
    if (this.#keeping && this.#kept === text) return;
    this.#kept = text;
    this.#isOurs = true;
    if (this.#keeping) return this.#keeping.change(spec);
    const { realm, addresses, ttlMs, ledger, log, ports } = this.#host;
    const { service, id } = this.#entry.file;
    this.#keeping = keepRegistered({
      controlPlanes: addresses,
      ...{ realm, service, id, instance: spec, ttlMs, log },
      reason: `as its file ${this.#entry.name} says`,
      ...(resume && { resume }),
      onHeld: (leaseId, spec) => {
        ledger.leaseId = leaseId;
        if (this.#isWanted) this.#note({ said: textOfSpec(spec) });
      },
    }, ports);
    if (this.#checker && this.#status !== "unknown") this.#keeping.report(this.#status);
    this.#checker ??= this.#beginChecks();
  }

  #beginChecks(): Checker {
    return new Checker({
      target: () => this.#spec,
      check: () => this.#check,
      status: this.#status,
      probe: this.#host.probe,
      ports: this.#host.ports,
      onResult: (status, error) => this.#report(status, error),
    });
  }

  #note(parts: Omit<Note, "entry">): void {
    const { ledger } = this.#host;
    if (this.#ending.signal.aborted) return;
    ledger.note(this.#entry, parts);
    void ledger.save();
  }

  #yield(keeping: Keeping): void {
    this.#keeping = undefined;
    this.#isOurs = false;
    void keeping.release();
  }

  async #depart(): Promise<void> {
    while (!this.#isWanted && !this.#ending.signal.aborted) {
      this.#back = new AbortController();
      this.#keeping?.retire();
      if (!await this.#takeOff()) continue;
      if (!this.#isWanted) return this.#vanish();
      this.#isOurs = false;
    }
    if (this.#ending.signal.aborted) return;
    // Before the old one ends, so that their lease does not.
    const retired = this.#keeping;
    this.#keeping = undefined;
    this.#departing = undefined;
    this.look();
    await retired?.release();
  }

  /** Answers whether it is off the map; false: it is wanted again, or the sidecar ends. */
  async #takeOff(): Promise<boolean> {
    const { realm, controlPlanes, log, ports } = this.#host;
    const { service, id, drainMs } = this.#entry.file;
    const stop = AbortSignal.any([this.#back.signal, this.#ending.signal]);
    while (!this.#keeping && !this.#host.isMapKnown() && !stop.aborted) await ports.sleep(MAP_EVERY_MS, stop);
    if (!this.#isOurs || this.#rivalNow() !== undefined) return true;
    try {
      await takeOff({
        ...{ controlPlanes, realm, service, id, drainMs, log, ports },
        reason: this.#farewell.signal.aborted ? "its sidecar leaves" : `its file ${this.#entry.name} is gone`,
        back: this.#back.signal,
        end: this.#ending.signal,
        farewell: this.#farewell.signal,
      });
      log.info("Deregistered", { realm, instance: this.key });
      return true;
    } catch (error) {
      await this.#notTakenOff(error);
      return false;
    }
  }

  async #notTakenOff(reason: unknown): Promise<void> {
    const { log, ports } = this.#host;
    const stop = AbortSignal.any([this.#back.signal, this.#ending.signal]);
    if (stop.aborted) return;
    log.error("Cannot take an instance off the map", { instance: this.key, reason });
    if (this.#farewell.signal.aborted) this.#ending.abort();
    else await ports.sleep(RETRY_MS, stop);
  }

  #vanish(): void {
    const { ledger, onGone } = this.#host;
    ledger.strike(this.key);
    void ledger.save();
    onGone(this, this.release());
  }

  #report(status: CheckStatus, reason: string | undefined): void {
    // Said again after each check: whether the map has it by now is not known here.
    if (status !== "unknown") this.#keeping?.report(status);
    this.#checkError = reason;
    if (status === this.#status) return;
    const { log, realm } = this.#host;
    const fields = { realm, instance: this.key };
    if (status === "passing") log.info("An instance passes its checks", fields);
    else log.warn("An instance fails its checks", { ...fields, reason });
    this.#status = status;
    this.#since = new Date();
    this.#note({ status });
  }
}

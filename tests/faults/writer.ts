/** One of several writers: writes at random, each until it is acknowledged, and tells the log. */
import { AssertionError } from "node:assert/strict";
import type { HostOperation, Logged, Operation } from "./model.ts";
import { GrpcSender, HttpSender, type Sender } from "./request.ts";
import { between, type Chance } from "./seed.ts";
import type { Storm } from "./storm.ts";

/** What is known of an instance. */
interface State {
  readonly enabled: boolean;
  readonly draining: boolean;
}

/** Writers of one storm: each has instances, aliases, a host and a service of its own; all else they share. */
export class Writer implements Disposable {
  readonly #storm: Storm;
  readonly #number: number;
  readonly #chance: Chance;
  readonly #sender: Sender;
  /** What it put on the map, by service and id. */
  readonly #instances = new Map<string, State>();
  readonly #aliases = new Set<string>();
  /** Those of its own services that there are, and whether they are on. */
  readonly #switched = new Map<string, boolean>();
  #writes = 0;

  constructor(storm: Storm, number: number, chance: Chance) {
    this.#storm = storm;
    this.#number = number;
    this.#chance = chance;
    this.#sender = number % 2 === 0 ? new HttpSender(storm.plane) : new GrpcSender(storm.plane);
  }

  /** Writes something. */
  async write(): Promise<void> {
    await this.send(this.#choose());
  }

  /** Sends a write again and again until it is acknowledged. */
  async send(operation: Operation): Promise<void> {
    const before = this.#storm.told;
    const id = `writer-${this.#number}-${this.#writes++}`;
    for (;;) {
      await this.#storm.plane.serving();
      const outcome = await this.#sender.send(operation, id);
      if (outcome.kind === "written") return await this.#acknowledged(operation, outcome.revision, before);
      this.#storm.count(`writes answered: ${outcome.why}`);
    }
  }

  [Symbol.dispose](): void {
    this.#sender[Symbol.dispose]();
  }

  async #acknowledged(operation: Operation, revision: bigint, before: bigint): Promise<void> {
    if (revision > this.#storm.told) this.#storm.told = revision;
    if ("hostId" in operation) await this.#logHost(operation, revision, before);
    else await this.#logOne(operation, revision, before);
    this.#remember(operation);
  }

  /** The order of revisions is one that could be seen from outside: later than all that was told before it was sent. */
  #log(operation: Logged, revision: bigint, before: bigint): void {
    if (revision <= before) {
      throw new Error(`Not linearizable: told ${revision}, though ${before} was told before: ${show(operation)}`);
    }
    this.#storm.log.add({ revision, operation });
  }

  /** Switching a service on takes another commit where instances drain; the instances know of it. */
  async #logOne(operation: Operation, revision: bigint, before: bigint): Promise<void> {
    if (operation.kind === "enable_service") {
      const { service } = operation;
      const draining = [...this.#instances].find(([key, one]) => one.draining && key.startsWith(`${service}/`));
      if (draining) this.#log({ kind: "undrain", service }, await this.#modified(draining[0]), before);
    }
    this.#log(operation, revision, before);
  }

  /**
   * A host changes in a commit for each service, and only the last is told: the instances know of the others. Mostly
   * another one says that all of it is done.
   */
  async #logHost(operation: HostOperation, told: bigint, before: bigint): Promise<void> {
    const changed = [...this.#instances].filter(([key, state]) => {
      const after = afterHost(state, operation.kind);
      return key.startsWith(`${operation.realm}/`) &&
        (after.enabled !== state.enabled || after.draining !== state.draining);
    });
    const revisions: bigint[] = [];
    for (const [name, [[key] = ["", undefined]]] of Map.groupBy(changed, ([key]) => service(key))) {
      const revision = await this.#modified(key);
      this.#log({ ...operation, services: [name] }, revision, before);
      revisions.push(revision);
    }
    if (!revisions.includes(told)) this.#log({ kind: "record" }, told, before);
  }

  /** The revision that last changed an instance. */
  async #modified(key: string): Promise<bigint> {
    const [realm, service, id] = key.split("/");
    for (;;) {
      await this.#storm.plane.serving();
      try {
        const path = `/realms/${realm}/services/${service}/instances/${id}`;
        return BigInt((await this.#storm.plane.call<{ modified: string }>(path)).modified);
      } catch (error) {
        // It may have ended meanwhile; what it refuses is another matter.
        if (error instanceof AssertionError) throw error;
      }
    }
  }

  #choose(): Operation {
    const chance = this.#chance;
    const roll = chance.below(100);
    const instance = pickFrom(chance, [...this.#instances.keys()]);
    const alias = pickFrom(chance, [...this.#aliases]);
    if (instance && roll < 35) return this.#onInstance(instance, roll);
    if (roll < 42) return this.#putAlias();
    if (alias && roll < 45) return { kind: "delete_alias", service: service(alias), alias: last(alias) };
    if (instance && roll < 48) return this.#onHost(instance);
    const switched = pickFrom(chance, [...this.#switched]);
    if (switched && roll < 51) {
      const [service, on] = switched;
      return { kind: on ? "disable_service" : "enable_service", service };
    }
    if (switched && roll < 53) return { kind: "delete_service", service: switched[0] };
    return this.#register();
  }

  #onInstance(instance: string, roll: number): Operation {
    const target = { service: service(instance), id: last(instance) };
    if (roll < 12) return { kind: "deregister", ...target };
    const { enabled, draining } = this.#instances.get(instance) ?? {};
    if (roll < 20 && !draining) return { kind: "drain", ...target };
    return { kind: enabled ? "disable" : "enable", ...target };
  }

  /** All of its instances in a realm, whatever their services; one of them at least changes. */
  #onHost(instance: string): Operation {
    const { enabled, draining } = this.#instances.get(instance) ?? {};
    const [realm = ""] = instance.split("/");
    const kind = enabled ? draining ? "disable_host" : "drain_host" : "enable_host";
    return { kind, realm, hostId: this.#host(), services: [] };
  }

  #register(): Operation {
    const chance = this.#chance;
    const own = chance.oneIn(6);
    return {
      kind: "register",
      service: own ? chance.pick(this.#ownServices()) : this.#sharedService(),
      id: `writer-${this.#number}-${chance.below(3)}`,
      instance: {
        port: between(chance, 1, 65_535),
        version: between(chance, 1, 4),
        weight: between(chance, 0, 256),
        hostId: this.#host(),
        metadata: { write: `${this.#number}.${this.#writes}` },
      },
    };
  }

  #putAlias(): Operation {
    const chance = this.#chance;
    const share = between(chance, 0, 10_000);
    // Never the same as before: a write that changes nothing is told an old revision.
    const version = 1 + this.#writes;
    const route = chance.oneIn(2)
      ? { version, split: [] }
      : { version: 0, split: [{ version, share }, { version: version + 1, share: 10_000 - share }] };
    return { kind: "put_alias", service: this.#sharedService(), alias: `writer-${this.#number}`, route };
  }

  #sharedService(): string {
    const { realms, services, heavy } = this.#storm;
    return `${this.#chance.pick(realms)}/${this.#chance.pick(this.#chance.oneIn(60) ? heavy : services)}`;
  }

  #remember(operation: Operation): void {
    if ("hostId" in operation) return this.#rememberHost(operation);
    const { service, kind } = operation;
    const key = "id" in operation ? `${service}/${operation.id}` : "";
    if (kind === "register") {
      if (operation.instance.hostId !== this.#host()) return;
      const enabled = this.#instances.get(key)?.enabled ?? true;
      this.#instances.set(key, { enabled, draining: false });
      if (this.#ownServices().includes(service) && !this.#switched.has(service)) this.#switched.set(service, true);
    } else if (kind === "deregister") this.#instances.delete(key);
    else if (kind === "enable") this.#instances.set(key, { enabled: true, draining: false });
    else if (kind === "disable" || kind === "drain") {
      const { enabled = true, draining = false } = this.#instances.get(key) ?? {};
      this.#instances.set(key, { enabled: enabled && kind !== "disable", draining: draining || kind === "drain" });
    } else if (kind === "enable_service" || kind === "disable_service") {
      this.#switched.set(service, kind === "enable_service");
      for (const [key, { enabled, draining }] of this.#instances) {
        if (!key.startsWith(`${service}/`)) continue;
        this.#instances.set(key, { enabled, draining: draining && kind === "disable_service" });
      }
    } else if (kind === "put_alias") this.#aliases.add(`${service}/${operation.alias}`);
    else if (kind === "delete_alias") this.#aliases.delete(`${service}/${operation.alias}`);
    else this.#forget(service);
  }

  #rememberHost({ kind, realm }: HostOperation): void {
    for (const [key, state] of this.#instances) {
      if (key.startsWith(`${realm}/`)) this.#instances.set(key, afterHost(state, kind));
    }
  }

  #forget(service: string): void {
    this.#switched.delete(service);
    for (const key of [...this.#instances.keys()]) if (key.startsWith(`${service}/`)) this.#instances.delete(key);
  }

  #ownServices(): readonly string[] {
    return this.#storm.realms.map((realm) => `${realm}/${ownService(this.#number)}`);
  }

  #host(): string {
    return `host-${this.#number}`;
  }
}

function afterHost({ enabled, draining }: State, kind: HostOperation["kind"]): State {
  if (kind === "drain_host") return { enabled, draining: true };
  return kind === "enable_host" ? { enabled: true, draining: false } : { enabled: false, draining };
}

/** The service that a writer alone writes to, and now and then deletes. */
export function ownService(number: number): string {
  return `own-${number}`;
}

function pickFrom<T>(chance: Chance, from: readonly T[]): T | undefined {
  return from.length > 0 ? chance.pick(from) : undefined;
}

/** `realm/service` of `realm/service/part`. */
function service(key: string): string {
  return key.slice(0, key.lastIndexOf("/"));
}

function last(key: string): string {
  return key.slice(key.lastIndexOf("/") + 1);
}

function show(operation: Logged): string {
  return JSON.stringify(operation);
}

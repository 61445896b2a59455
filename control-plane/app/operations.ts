/** What the control plane can do to the map: commands are decided, committed with their history, and seen to arrive. */
import { findInstance, findService, type Position } from "../domain/cluster_map.ts";
import { type Command, type CommandOf, decide } from "../domain/command.ts";
import { type Acceptance, type Decision, MOST_WRITERS } from "../domain/decision.ts";
import {
  type HostId,
  type LeaseId,
  NO_REVISION,
  type OperationId,
  type Realm,
  type Revision,
} from "../domain/names.ts";
import { halfDone, isRefusal, type Refusal, refuse } from "../domain/refusal.ts";
import { servicesIn } from "../domain/update.ts";
import type { Commit, Store } from "../store/store.ts";
import type { Log } from "../../proto/log.ts";
import type { Caller } from "./caller.ts";
import type { Clock } from "./clock.ts";
import { beginEpoch, NO_EPOCH } from "./epoch.ts";
import type { Hub } from "./hub.ts";
import type { Leases } from "./leases.ts";
import { EPOCH_KEY, guardOf, type Note, operationKey, operationWrite, parseOperation, writesOf } from "./store_keys.ts";
import type { Telemetry } from "./telemetry.ts";
import { Turns } from "./turns.ts";

/** The resource is as asked for, since `revision`. */
export interface Written {
  readonly kind: "written";
  readonly revision: Revision;
  /** What holds the instance that was registered. */
  readonly lease?: LeaseId;
}

export interface OperationsOptions {
  readonly store: Store;
  readonly hub: Hub;
  readonly leases: Leases;
  readonly clock: Pick<Clock, "wall">;
  readonly log: Log;
  readonly telemetry?: Pick<Telemetry, "refused">;
}

/** What is asked of all instances of a host. */
export type HostCommand = Pick<CommandOf<"set_enabled">, "kind" | "enabled"> | Pick<CommandOf<"drain">, "kind">;

/** Who loses is decided anew, one loser after the other, so it loses against few. */
const MOST_TRIES = 4 * MOST_WRITERS;

/** Nobody's wall clock goes wrong by more, in ms: an epoch beyond it cannot have been. */
const MOST_AHEAD_MS = 86_400_000n;

type Outcome = Extract<Commit, { kind: "committed" }> | Exclude<Decision, Acceptance>;

export class Operations {
  readonly #turns = new Turns(MOST_WRITERS);
  readonly #losers = new Turns(1);

  constructor(private readonly options: OperationsOptions) {}

  /**
   * Does what `command` asks for, once the map shows it: who reads here afterwards reads it. `asked` is the lease that a
   * registration is to join.
   */
  async execute(caller: Caller, command: Command, asked?: LeaseId): Promise<Written | Refusal> {
    const id = caller.operationId;
    return await this.#execute(caller, command, id && { id, of: operationOf(command, asked) }, asked);
  }

  /** Does it as the whole of `operation`, or as a part of one. */
  async #execute(caller: Caller, command: Command, operation?: Operation, asked?: LeaseId) {
    const { hub } = this.options;
    const service = `${command.realm}/${command.service}`;
    const turn = this.#turns.take(service);
    using _turn = turn instanceof Promise ? await turn : turn;
    using losing = new DisposableStack();
    let lost = false;
    let some = false;
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      // Before the store is asked about the operation: a conflict with either is news to this map.
      const map = hub.current();
      const repeated = operation && await this.#repeated(caller, operation, command.realm);
      if (repeated) return repeated;
      const concrete = this.#concrete(command, asked);
      if (isRefusal(concrete)) return concrete;
      const decision = decide(map, concrete);
      const outcome = decision.kind === "accept" ? await this.#commit(caller, concrete, decision, operation) : decision;
      if (outcome.kind === "conflict") {
        if (!lost) losing.use(await this.#losers.take(service));
        lost = true;
        // The store has moved on: its log will say how.
        await hub.reached((map.position.revision + 1n) as Revision, caller.signal);
        continue;
      }
      this.#log(caller, command, outcome);
      if (outcome.kind === "refuse") return some ? halfDone(outcome) : outcome;
      await hub.reached(outcome.revision, caller.signal);
      if (decision.kind === "accept" && decision.more) {
        some = true;
        tries = -1;
        continue;
      }
      return written(outcome.revision, leaseOf(concrete));
    }
    return refuse("conflict", `Cannot change service "${command.service}": others kept changing it, try again`);
  }

  /** Asks the same of all instances of a host; what was done before a refusal stays done. */
  async executeHost(caller: Caller, realm: Realm, hostId: HostId, command: HostCommand): Promise<Written | Refusal> {
    const id = caller.operationId;
    const operation = id && { id, of: `${command.kind} ${realm} host ${hostId} #${digest(command)}` };
    const repeated = operation && await this.#repeated(caller, operation, realm);
    if (repeated) return repeated;
    const { revision } = this.options.hub.current().position;
    const services = servicesIn(this.options.hub.current(), { realm })
      .filter(({ instances }) => instances.some((one) => one.hostId === hostId)).map(({ name }) => name);
    if (services.length === 0) {
      return refuse("not_found", `Cannot find host "${hostId}" in realm "${realm}": no instance says it runs there`);
    }
    const done = await this.#executeAll(caller, services.map((service) => ({ realm, service, hostId, ...command })));
    if (isRefusal(done) || done.revision <= revision || operation === undefined) return done;
    const kept = await this.#remember(caller, operation, realm);
    return isRefusal(kept) ? halfDone(kept) : kept;
  }

  /** Lets go what the brake holds in a realm. */
  async releaseHeld(caller: Caller, realm: Realm): Promise<(Written & { readonly released: number }) | Refusal> {
    const { hub } = this.options;
    const held = servicesIn(hub.current(), { realm }).map(({ name, instances }) =>
      [name, instances.filter((one) => one.held)] as const
    ).filter(([, instances]) => instances.length > 0);
    const outcome = await this.#executeAll(caller, held.map(([service]) => ({ realm, service, kind: "release" })));
    if (isRefusal(outcome)) return outcome;
    const released = held.map(([name, instances]) => {
      const service = findService(hub.current(), realm, name);
      return instances.filter(({ id }) => !findInstance(service, id)).length;
    });
    return { ...outcome, released: released.reduce((sum, one) => sum + one, 0) };
  }

  /** Begins another epoch, higher than all before, and than `above`, which somebody says there was. */
  async beginEpoch(caller: Caller, above = NO_EPOCH): Promise<Position | Refusal> {
    const { hub, clock, store, log } = this.options;
    if (above > BigInt(clock.wall()) + MOST_AHEAD_MS) {
      return refuse("invalid", `Cannot begin an epoch after ${above}: it lies in the future`);
    }
    for (;;) {
      const { entries } = await store.read(EPOCH_KEY);
      const { before, epoch, commit } = await beginEpoch(store, entries, clock.wall(), above);
      const outcome = outcomeOf(commit);
      if (outcome.kind === "refuse") return outcome;
      // Somebody else began one.
      if (outcome.kind !== "committed") continue;
      log.warn("Began a new epoch: every follower starts again", { before, epoch, reason: caller.reason });
      await hub.reached(outcome.revision, caller.signal);
      return hub.current().position;
    }
  }

  async #executeAll(caller: Caller, commands: readonly Command[]): Promise<Written | Refusal> {
    let revision = NO_REVISION;
    for (const command of commands) {
      const outcome = await this.#execute(caller, command);
      // What vanished meanwhile needs no change.
      if (isRefusal(outcome) && outcome.code !== "not_found") {
        return revision > NO_REVISION ? halfDone(outcome) : outcome;
      }
      if (!isRefusal(outcome) && outcome.revision > revision) revision = outcome.revision;
    }
    return written(revision > NO_REVISION ? revision : this.options.hub.current().position.revision);
  }

  /** A registration with a ttl gets its lease here: which one depends on who holds the instance now. */
  #concrete(command: Command, asked?: LeaseId): Command | Refusal {
    if (command.kind !== "register" || command.instance.ttl === undefined) return command;
    const { instance } = command;
    const { hub, leases } = this.options;
    const lease = leases.leaseFor(hub.current(), command, instance.id, command.instance.ttl, asked);
    if (typeof lease !== "string") return lease;
    // A registration is a sign of life.
    leases.beat(lease);
    return { ...command, instance: { ...instance, lease } };
  }

  /** What the operation was answered with when it was done. */
  async #repeated(caller: Caller, { id, of: asked }: Operation, realm: Realm): Promise<Written | Refusal | undefined> {
    const { store, hub } = this.options;
    const { entries: [entry] } = await store.read(operationKey(realm, id));
    if (!entry) return undefined;
    const { of, lease } = parseOperation(entry.value);
    if (of === asked) {
      await hub.reached(entry.revision, caller.signal);
      return written(entry.revision, lease);
    }
    return refuse("invalid", `Cannot use operation "${id}" again: it was "${of}"`, [
      { field: "operationId", description: `expected another one: this was "${of}"` },
    ]);
  }

  async #commit(caller: Caller, command: Command, { changes, relies, more }: Acceptance, operation?: Operation) {
    const guards = relies.map(guardOf);
    const writes = [...writesOf(changes, this.#note(caller, command.kind))];
    if (operation !== undefined && !more) {
      const lease = leaseOf(command);
      const { id, of } = operation;
      writes.push(operationWrite(command.realm, id, { of, ...(lease && { lease }) }));
      guards.push({ key: operationKey(command.realm, id), revision: NO_REVISION });
    }
    return outcomeOf(await this.options.store.commit(writes, guards));
  }

  /** Keeps that an operation of many commits is done, once it is: that is what its repeats are answered with. */
  async #remember(caller: Caller, operation: Operation, realm: Realm): Promise<Written | Refusal> {
    const { store, hub } = this.options;
    const { id, of } = operation;
    const guards = [{ key: operationKey(realm, id), revision: NO_REVISION }];
    const outcome = outcomeOf(await store.commit([operationWrite(realm, id, { of })], guards));
    if (outcome.kind === "refuse") return outcome;
    if (outcome.kind === "committed") {
      await hub.reached(outcome.revision, caller.signal);
      return written(outcome.revision);
    }
    return await this.#repeated(caller, operation, realm) ??
      refuse("conflict", "Cannot tell what became of it: try again");
  }

  #note({ identity, reason, operationId }: Caller, operation: string): Note {
    const time = this.options.clock.wall();
    return { time, identity, ...(reason && { reason }), operation, ...(operationId && { operationId }) };
  }

  #log({ identity, reason }: Caller, { kind, realm, service }: Command, outcome: Outcome): void {
    if (outcome.kind === "unchanged") return;
    const { log, telemetry } = this.options;
    if (outcome.kind === "refuse") telemetry?.refused(kind, outcome.code);
    const fields = { operation: kind, realm, service, identity, reason };
    if (outcome.kind === "committed") log.info("Changed the map", { ...fields, revision: outcome.revision });
    else log.warn("Refused a change", { ...fields, code: outcome.code, refusal: outcome.message });
  }
}

function written(revision: Revision, lease?: LeaseId): Written {
  return { kind: "written", revision, ...(lease && { lease }) };
}

function leaseOf(command: Command): LeaseId | undefined {
  return command.kind === "register" ? command.instance.lease : undefined;
}

/** What a writer gave a name to. */
interface Operation {
  readonly id: OperationId;
  /** What was asked for, to tell a repeat from an id that is used for two things. */
  readonly of: string;
}

/** What a command is about, and a digest of all that the writer said but for its condition, which a repeat may not meet. */
function operationOf(command: Command, asked?: LeaseId): string {
  const of = command.kind === "register"
    ? command.instance.id
    : "id" in command
    ? command.id
    : "alias" in command
    ? command.alias
    : "hostId" in command
    ? `host ${command.hostId}`
    : undefined;
  const { kind, realm, service, expected: _, ...said } = { expected: undefined, ...command };
  return `${kind} ${realm}/${service}${of === undefined ? "" : `/${of}`} #${digest({ ...said, asked })}`;
}

/** 32 bits of what has a JSON text, in whichever order its fields stand: FNV-1a. */
function digest(value: object): string {
  const text = JSON.stringify(value, (_, part: unknown) => isFields(part) ? sorted(part) : part);
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, "0");
}

function isFields(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function sorted(fields: object): object {
  return Object.fromEntries(Object.entries(fields).sort(([a], [b]) => a < b ? -1 : 1));
}

function outcomeOf(commit: Commit): Outcome | Extract<Commit, { kind: "conflict" }> {
  switch (commit.kind) {
    case "committed":
    case "conflict":
      return commit;
    case "refused":
      return refuse("unavailable", `Cannot write to the store: ${commit.reason}`);
    case "unknown":
      return refuse("unknown", `Cannot tell whether the store was written: ${commit.reason}`);
  }
}

/** The application over a store in memory, at a time of its own: for tests. */
import assert from "node:assert/strict";
import type { InstanceSpec, Service } from "../domain/cluster_map.ts";
import type { Command, CommandOf } from "../domain/command.ts";
import type { LeaseId, OperationId, Realm, ServiceName } from "../domain/names.ts";
import { isRefusal, type Refusal } from "../domain/refusal.ts";
import { findService } from "../domain/cluster_map.ts";
import { openMemoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import { type Log, SILENT } from "../../proto/log.ts";
import { anonymous, type Caller } from "./caller.ts";
import type { Clock } from "./clock.ts";
import { look } from "./expiry.ts";
import { openHub } from "./hub.ts";
import { Leases } from "./leases.ts";
import { Operations } from "./operations.ts";
import { Reading } from "./reading.ts";

export const LOCAL = "local" as Realm;
export const never = new AbortController().signal;
export const caller: Caller = anonymous();

export function operation(id: string): Caller {
  return { ...caller, operationId: id as OperationId };
}

/** Stands until it is told to go on; both of its times can be set alone. */
export class TestClock implements Clock {
  wallMs = Date.UTC(2026, 0, 1);
  monotonicMs = 0;

  wall = () => this.wallMs;
  monotonic = () => this.monotonicMs;

  pass(ms: number): void {
    this.wallMs += ms;
    this.monotonicMs += ms;
  }
}

export interface TestOptions {
  readonly store?: Store;
  readonly clock?: TestClock;
  readonly log?: Log;
  readonly bookmarkMs?: number;
}

/** What the program wires, but for what acts by itself. Disposing leaves the store open, for another one. */
export async function testPlane(options: TestOptions = {}) {
  const { store = openMemoryStore(), clock = new TestClock(), log = SILENT, bookmarkMs = 60_000 } = options;
  const leases = new Leases(clock);
  const hub = await openHub({ store, log, now: clock.wall, observer: leases, bookmarkMs });
  const operations = new Operations({ store, hub, leases, clock, log });
  const reading = new Reading({ store, hub, operations, log, minRevisionWaitMs: 10 });
  return {
    store,
    clock,
    leases,
    hub,
    operations,
    reading,
    log,
    look: () => look({ leases, operations, clock, log }, never),
    /** Has to be done. */
    change: async (command: Command, by: Caller = caller, lease?: LeaseId) =>
      done(await operations.execute(by, command, lease)),
    service: (name: string, realm = LOCAL): Service | undefined =>
      findService(hub.current(), realm, name as ServiceName),
    /** As `ID`, with a `!` where it is held. */
    ids: (name: string, realm = LOCAL): string[] =>
      findService(hub.current(), realm, name as ServiceName)?.instances.map(({ id, held }) => held ? `${id}!` : id) ??
        [],
    [Symbol.asyncDispose]: () => hub[Symbol.asyncDispose](),
  };
}

export type TestPlane = Awaited<ReturnType<typeof testPlane>>;

/** Asserts that something was not refused. */
export function done<T extends object>(outcome: T | Refusal): Exclude<T, Refusal> {
  if (isRefusal(outcome)) assert.fail(`${outcome.code}: ${outcome.message}`);
  return outcome as Exclude<T, Refusal>;
}

/** Asserts that something was refused, and says why. */
export function refusal(outcome: object): Refusal {
  return isRefusal(outcome) ? outcome : assert.fail("it was not refused");
}

export function register(service: string, id = "i", more: Partial<Record<keyof InstanceSpec, unknown>> = {}) {
  const instance = { id, host: "127.0.0.1", port: 1, version: 1, weight: 100, metadata: {}, ...more };
  return { kind: "register", realm: LOCAL, service, instance } as unknown as CommandOf<"register">;
}

export function command<K extends Command["kind"]>(kind: K, service: string, fields: object = {}): CommandOf<K> {
  return { kind, realm: LOCAL, service, ...fields } as unknown as CommandOf<K>;
}

/** A store of which some calls are answered by somebody else. */
export function overlaid(store: Store, overlay: Partial<Store>): Store {
  return {
    get restored() {
      return overlay.restored ?? store.restored;
    },
    read: overlay.read ?? ((...how) => store.read(...how)),
    commit: overlay.commit ?? ((...how) => store.commit(...how)),
    watch: overlay.watch ?? ((...how) => store.watch(...how)),
    history: overlay.history ?? ((...how) => store.history(...how)),
    forget: overlay.forget ?? ((...how) => store.forget(...how)),
    remembered: overlay.remembered ?? (() => store.remembered()),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

/** A store whose next commit waits until something else has been done. */
export function interruptible(memory: Store = openMemoryStore()) {
  let first: (() => Promise<unknown>) | undefined;
  const store = overlaid(memory, {
    commit: async (...how) => {
      const work = first;
      first = undefined;
      await work?.();
      return await memory.commit(...how);
    },
  });
  return {
    store,
    beforeNextCommit: (work: () => Promise<unknown>) => {
      first = work;
    },
  };
}

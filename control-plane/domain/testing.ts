/** What the tests of the core share: commands of all kinds over few names, and a watcher's fold. */
import fc from "fast-check";
import { apply } from "./change.ts";
import { type ClusterMap, emptyMap, type Position, type Service } from "./cluster_map.ts";
import { type Command, decide } from "./command.ts";
import { type Epoch, Invalid, type Realm, type Revision, type ServiceName } from "./names.ts";
import { parseSplit, type Route } from "./route.ts";
import type { Update } from "./update.ts";

/** Asserts that a value was accepted by its parser. */
export function valid<T>(value: T | Invalid): T {
  if (value instanceof Invalid) throw new Error(value.problem);
  return value;
}

const named = <T>(...names: string[]) => fc.constantFrom(...names) as unknown as fc.Arbitrary<T>;
const version = fc.integer({ min: 1, max: 3 });

const split = fc.tuple(version, version, fc.integer({ min: 0, max: 10_000 }))
  .filter(([a, b]) => a !== b)
  .map(([a, b, share]) => valid(parseSplit([{ version: a, share }, { version: b, share: 10_000 - share }] as never)));

const route: fc.Arbitrary<Route> = fc.oneof(
  version.map((one) => ({ kind: "version", version: one }) as Route),
  split,
);

const target = { realm: named<Realm>("local", "testing"), service: named<ServiceName>("a", "b", "c", "d") };
const id = named<never>("i1", "i2", "i3");

const instance = fc.record({
  id,
  host: named<never>("127.0.0.1", "db.internal"),
  port: fc.integer({ min: 1, max: 3 }) as fc.Arbitrary<never>,
  version: version as fc.Arbitrary<never>,
  weight: named<never>("100").map(() => 100 as never),
  metadata: fc.dictionary(fc.constantFrom("k", "ü"), fc.string({ maxLength: 4 }), {
    maxKeys: 2,
    noNullPrototype: true,
  }),
});

/** Any command, over so few names that they meet. */
export const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ kind: fc.constant("register" as const), ...target, instance }),
  fc.record({ kind: fc.constant("deregister" as const), ...target, id }),
  fc.record({ kind: fc.constant("set_enabled" as const), ...target, id, enabled: fc.boolean() }),
  fc.record({ kind: fc.constant("set_enabled" as const), ...target, enabled: fc.boolean() }),
  fc.record({ kind: fc.constant("put_alias" as const), ...target, alias: named<never>("live", "canary"), route }),
);

/** What may happen to a map: a command, the deletion of a service, or that deletions are forgotten. */
export type Event =
  | Command
  | { kind: "delete"; realm: Realm; service: ServiceName }
  | { kind: "sweep"; realm: Realm; service: ServiceName };

export const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  { weight: 8, arbitrary: anyCommand as fc.Arbitrary<Event> },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("delete" as const, "sweep" as const), ...target }) },
);

export const EPOCH = 7n as Epoch;

/** Every map of a history, the empty one first, with the changes that led to it. */
export function historyOf(events: readonly Event[]): { map: ClusterMap; changes: Parameters<typeof apply>[2] }[] {
  const history = [{ map: emptyMap(EPOCH), changes: [] as Parameters<typeof apply>[2] }];
  for (const event of events) {
    const { map } = history[history.length - 1]!;
    const changes = changesOf(map, event);
    if (changes) history.push({ map: apply(map, (map.position.revision + 1n) as Revision, changes), changes });
  }
  return history;
}

function changesOf(map: ClusterMap, event: Event): Parameters<typeof apply>[2] | undefined {
  if (event.kind === "delete") {
    const exists = map.realms.get(event.realm)?.services.get(event.service);
    return exists && [{ ...event, kind: "delete_service" }];
  }
  if (event.kind === "sweep") {
    const tombstone = map.realms.get(event.realm)?.tombstones.get(event.service);
    return tombstone && [{ ...event, kind: "forget_service" }, { kind: "raise_floor", floor: map.position.revision }];
  }
  const decision = decide(map, event);
  return decision.kind === "accept" ? decision.changes : undefined;
}

/** What a client does with an update: the same three lines in every language. */
export class Folded {
  readonly services = new Map<string, Service>();
  position: Position | undefined;

  fold({ position, complete, set, deleted }: Update): void {
    if (complete) this.services.clear();
    for (const service of set) this.services.set(service.name, service);
    for (const name of deleted) this.services.delete(name);
    this.position = position;
  }

  sorted(): Service[] {
    return [...this.services.values()].sort((a, b) => a.name < b.name ? -1 : 1);
  }
}

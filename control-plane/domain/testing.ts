/** What the tests of the core share: commands of all kinds over few names, and a watcher's fold. */
import fc from "fast-check";
import { apply, type Change } from "./change.ts";
import {
  type ClusterMap,
  emptyMap,
  findAlias,
  findInstance,
  findService,
  type Position,
  realmOf,
  type Service,
} from "./cluster_map.ts";
import { type Command, decide } from "./command.ts";
import type { Reliance } from "./decision.ts";
import {
  type AliasName,
  type Epoch,
  type HostId,
  type InstanceId,
  Invalid,
  type LeaseId,
  NO_REVISION,
  type Realm,
  type Revision,
  type ServiceName,
  type Ttl,
} from "./names.ts";
import { parseSplit, type Route } from "./route.ts";
import { DEFAULT_SPEC, type ServiceSpec } from "./service_spec.ts";
import type { Update } from "./update.ts";

/** Asserts that a value was accepted by its parser. */
export function valid<T>(value: T | Invalid): T {
  if (value instanceof Invalid) throw new Error(value.problem);
  return value;
}

/** The first ones oftener than the others. */
const named = <T>(...names: string[]) =>
  fc.oneof(
    ...names.map((name, i) => ({ weight: 2 ** (names.length - i), arbitrary: fc.constant(name) })),
  ) as unknown as fc.Arbitrary<T>;
const version = fc.integer({ min: 1, max: 3 });

const split = fc.tuple(version, version, fc.integer({ min: 0, max: 10_000 }))
  .filter(([a, b]) => a !== b)
  .map(([a, b, share]) => valid(parseSplit([{ version: a, share }, { version: b, share: 10_000 - share }] as never)));

const route: fc.Arbitrary<Route> = fc.oneof(
  version.map((one) => ({ kind: "version", version: one }) as Route),
  split,
);

const target = { realm: named<Realm>("local", "testing"), service: named<ServiceName>("a", "b", "c", "d") };
const id = named<InstanceId>("i1", "i2", "i3");
const hostId = named<HostId>("h1", "h2");
const lease = named<LeaseId>("l1", "l2");
const alias = named<AliasName>("live", "canary");
const status = fc.constantFrom("passing" as const, "failing" as const, "unknown" as const);

/** Texts that encodings like to break. */
const text = fc.oneof(fc.string({ unit: "grapheme", maxLength: 4 }), fc.constantFrom("", "\0", "ü", "漢", "🙂", '"'));

const instance = fc.record({
  id,
  host: named<never>("127.0.0.1", "db.internal"),
  port: fc.integer({ min: 1, max: 3 }) as fc.Arbitrary<never>,
  version: version as fc.Arbitrary<never>,
  weight: named<never>("100").map(() => 100 as never),
  hostId,
  metadata: fc.dictionary(fc.constantFrom("k", "ü"), text, { maxKeys: 2, noNullPrototype: true }),
}, { requiredKeys: ["id", "host", "port", "version", "weight", "metadata"], noNullPrototype: true });

/** Permanent, or held by a lease. */
const leased = fc.record({ ttl: fc.constantFrom(1_000 as Ttl, 9_000 as Ttl), lease }, { noNullPrototype: true });
const registered = fc.tuple(
  instance,
  fc.oneof({ weight: 2, arbitrary: leased }, { weight: 1, arbitrary: fc.constant({}) }),
).map(([spec, held]) => ({ ...spec, ...held }));

const spec: fc.Arbitrary<ServiceSpec> = fc.constantFrom<ServiceSpec>(
  DEFAULT_SPEC,
  { protocol: "TCP", balancer: "ROUND_ROBIN", localPort: 7_000 as never },
  {
    protocol: "H2C",
    check: { kind: "HTTP", path: "/ok", intervalMs: 500, rise: 1, fall: 2 },
    policy: {
      timeoutMs: 600_000,
      panicPercent: 50,
      statuses: [502, 503],
      budget: { ratioPermille: 1, minPerSec: 2, burst: 3 },
    },
    balancer: "RING_HASH",
    limits: { maxConnections: 1_000_000, maxQueue: 1 },
  },
);

// Revisions that tests reach, so that conditions hold now and then.
const expected = fc.oneof(fc.constant("exists" as const), fc.bigInt({ min: 0n, max: 30n }) as fc.Arbitrary<Revision>);
const conditional = <T extends object>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof(
    { weight: 4, arbitrary },
    { weight: 1, arbitrary: fc.tuple(arbitrary, expected).map(([command, expected]) => ({ ...command, expected })) },
  );
const command = <K extends Command["kind"], T extends object>(
  kind: K,
  fields: { [P in keyof T]: fc.Arbitrary<T[P]> },
) =>
  fc.record({ kind: fc.constant(kind), ...target, ...fields } as never, { noNullPrototype: true }) as fc.Arbitrary<
    { kind: K; realm: Realm; service: ServiceName } & T
  >;

/** Any command, over so few names that they meet. */
export const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: conditional(command("register", { instance: registered })) },
  { weight: 2, arbitrary: conditional(command("deregister", { id })) },
  { weight: 1, arbitrary: conditional(command("set_enabled", { id, enabled: fc.boolean() })) },
  { weight: 1, arbitrary: conditional(command("set_enabled", { enabled: fc.boolean() })) },
  { weight: 1, arbitrary: command("set_enabled", { hostId, enabled: fc.boolean() }) },
  { weight: 1, arbitrary: conditional(command("drain", { id })) },
  { weight: 1, arbitrary: command("drain", { hostId }) },
  { weight: 1, arbitrary: command("drain", {}) },
  { weight: 2, arbitrary: conditional(command("put_service", { spec })) },
  { weight: 1, arbitrary: conditional(command("delete_service", { force: fc.boolean() })) },
  { weight: 2, arbitrary: conditional(command("put_alias", { alias, route })) },
  { weight: 1, arbitrary: conditional(command("delete_alias", { alias })) },
  {
    weight: 1,
    arbitrary: command("report", {
      lease,
      statuses: fc.array(fc.tuple(id, status), { minLength: 1, maxLength: 3 }).map((pairs) => new Map(pairs)),
    }),
  },
  { weight: 1, arbitrary: command("expire", { leases: lease.map((one) => new Set([one])) }) },
  { weight: 1, arbitrary: command("hold", { leases: lease.map((one) => new Set([one])), held: fc.boolean() }) },
  { weight: 1, arbitrary: command("release", {}) },
) as fc.Arbitrary<Command>;

/** What may happen to a map: a command, that a deletion is forgotten, or that another epoch begins. */
export type Event = Command | { kind: "sweep"; realm: Realm; service: ServiceName } | { kind: "epoch" };

export const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  { weight: 20, arbitrary: anyCommand as fc.Arbitrary<Event> },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("sweep" as const), ...target }, { noNullPrototype: true }) },
  { weight: 1, arbitrary: fc.constant({ kind: "epoch" as const }) },
);

/** A map that much has happened to. */
export const anyMap: fc.Arbitrary<ClusterMap> = fc.array(anyEvent, { maxLength: 60, size: "max" })
  .map((events) => historyOf(events).at(-1)!.map);

export const EPOCH = 7n as Epoch;

export interface Step {
  readonly map: ClusterMap;
  readonly changes: readonly Change[];
}

/** Every map of a history, the first one first, with the changes that led to it. */
export function historyOf(events: readonly Event[], first = emptyMap(EPOCH)): Step[] {
  const history: Step[] = [{ map: first, changes: [] }];
  for (const event of events) {
    for (let more = true; more;) {
      const { map } = history[history.length - 1]!;
      const done = changesOf(map, event);
      if (done) history.push({ map: next(map, done.changes), changes: done.changes });
      more = done?.more ?? false;
    }
  }
  return history;
}

/** The map after one more commit. */
export function next(map: ClusterMap, changes: readonly Change[]): ClusterMap {
  return apply(map, (map.position.revision + 1n) as Revision, changes);
}

function changesOf(map: ClusterMap, event: Event): { changes: readonly Change[]; more: boolean } | undefined {
  if (event.kind === "epoch") {
    return { changes: [{ kind: "begin_epoch", epoch: (map.position.epoch + 1n) as Epoch }], more: false };
  }
  if (event.kind === "sweep") {
    const gone = realmOf(map, event.realm).tombstones.get(event.service);
    if (gone === undefined) return undefined;
    const floor = gone > map.floor ? gone : map.floor;
    return { changes: [{ ...event, kind: "forget_service" }, { kind: "raise_floor", floor }], more: false };
  }
  const decision = decide(map, event);
  return decision.kind === "accept" ? decision : undefined;
}

/** What the guard of a reliance says of the store. */
export function holds(map: ClusterMap, { realm, service: name, instance, alias, touch, revision }: Reliance): boolean {
  const service = findService(map, realm, name);
  const is = touch
    ? service?.modified ?? realmOf(map, realm).tombstones.get(name)
    : instance !== undefined
    ? findInstance(service, instance)?.modified
    : alias !== undefined
    ? findAlias(service, alias)?.modified
    : service?.specModified;
  return (is ?? NO_REVISION) === revision;
}

/** Everything of a map in a form that compares: tries of one content may differ in shape. */
export function contents(map: ClusterMap) {
  return {
    position: map.position,
    floor: map.floor,
    // One that holds nothing any more is as good as one that never did.
    realms: [...map.realms].filter(([, { services, tombstones }]) => services.size + tombstones.size > 0).sort(byKey)
      .map(([realm, { services, tombstones }]) => [realm, [...services].sort(byKey), [...tombstones].sort(byKey)]),
  };
}

function byKey(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : 1;
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

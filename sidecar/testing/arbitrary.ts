/** Maps by chance, small enough to collide often. */
import fc from "fast-check";
import { Instance_Status, type Service } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Wanted } from "../routing/plan.ts";
import { instance, type RouteInit, service, wantedOf } from "./maps.ts";

const version = fc.integer({ min: 1, max: 3 });

const route: fc.Arbitrary<RouteInit> = fc.oneof(
  version,
  fc.record({
    split: fc.integer({ min: 0, max: 10_000 }).map((share) => ({ 1: share, 2: 10_000 - share })),
    stickyHeader: fc.constantFrom("", "x-user", "x-team"),
  }),
);

const someInstance = fc.record({
  id: fc.constantFrom("i1", "i2", "i3", "i4"),
  init: fc.record({
    host: fc.constantFrom("127.0.0.1", "127.0.0.2", "::1"),
    port: fc.integer({ min: 8000, max: 8002 }),
    version,
    weight: fc.constantFrom(0, 1, 100, 256),
    enabled: fc.boolean(),
    draining: fc.boolean(),
    status: fc.constantFrom(Instance_Status.UNKNOWN, Instance_Status.PASSING, Instance_Status.FAILING),
  }),
}).map(({ id, init }) => instance(id, init));

function someService(name: string): fc.Arbitrary<Service> {
  return fc.record({
    enabled: fc.boolean(),
    instances: fc.uniqueArray(someInstance, { selector: ({ id }) => id, maxLength: 4 }),
    aliases: fc.dictionary(fc.constantFrom("live", "canary"), route, { maxKeys: 2, noNullPrototype: true }),
  }).map((init) => service(name, init));
}

/** What a realm of up to three services wants. */
export const someWanted: fc.Arbitrary<Wanted> = fc.uniqueArray(
  fc.constantFrom("identity", "teams", "orders").chain(someService),
  { selector: ({ name }) => name, maxLength: 3 },
).map((services) => wantedOf(...services));

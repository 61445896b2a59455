/** Maps by chance, small enough to collide often. */
import fc from "fast-check";
import {
  Instance_Status,
  type Service,
  ServiceSpec_Balancer as Balancer,
  ServiceSpec_Protocol as Protocol,
} from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
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

const spec = fc.option(
  fc.record({
    protocol: fc.constantFrom(Protocol.HTTP1, Protocol.H2C, Protocol.TCP, Protocol.TLS),
    balancer: fc.constantFrom(Balancer.P2C, Balancer.ROUND_ROBIN, Balancer.RING_HASH),
    policy: fc.record({ timeoutMs: fc.constantFrom(0, 2_500) }),
    limits: fc.record({ maxConnections: fc.constantFrom(0, 7), maxQueue: fc.constantFrom(0, 9) }),
    localPort: fc.constantFrom(undefined, 5_001, 5_002),
  }).map(({ localPort, ...rest }) => ({ ...rest, ...(localPort !== undefined && { localPort }) })),
  { freq: 3, nil: undefined },
);

function someService(name: string): fc.Arbitrary<Service> {
  return fc.record({
    enabled: fc.boolean(),
    spec,
    instances: fc.uniqueArray(someInstance, { selector: ({ id }) => id, maxLength: 4 }),
    aliases: fc.dictionary(fc.constantFrom("live", "canary"), route, { maxKeys: 2, noNullPrototype: true }),
  }).map(({ spec, ...init }) => service(name, { ...init, ...(spec && { spec }) }));
}

/** What a realm of up to three services wants. */
export const someWanted: fc.Arbitrary<Wanted> = fc.uniqueArray(
  fc.constantFrom("identity", "teams", "orders").chain(someService),
  { selector: ({ name }) => name, maxLength: 3 },
).map((services) => wantedOf(...services));

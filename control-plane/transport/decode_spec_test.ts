import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs, DurationSchema } from "@bufbuild/protobuf/wkt";
import { isRefusal } from "../domain/refusal.ts";
import { BUDGET_RANGES, DEFAULT_SPEC, POLICY_RANGES } from "../domain/service_spec.ts";
import {
  Check_Kind,
  RouteSchema,
  ServiceSpec_Balancer,
  ServiceSpec_Protocol,
  ServiceSpecSchema,
} from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { routeOf, specOf } from "./decode_spec.ts";
import { Violations } from "./violations.ts";

type Said = MessageInitShape<typeof ServiceSpecSchema>;

/** What is read, or the fields that are wrong. */
function read<T>(decode: (fields: Violations) => T): T | string[] {
  const fields = new Violations();
  const value = decode(fields);
  const refusal = fields.refusal();
  return refusal ? refusal.violations.map(({ field }) => field) : value;
}
const spec = (said?: Said) => read((fields) => specOf(fields, said && create(ServiceSpecSchema, said), "spec."));

Deno.test("specOf() is the default, and one object, for whatever says nothing else", () => {
  const { HTTP1 } = ServiceSpec_Protocol;
  const { P2C } = ServiceSpec_Balancer;
  for (const said of [undefined, {}, { protocol: HTTP1, balancer: P2C }]) assert.equal(spec(said), DEFAULT_SPEC);
});

Deno.test("specOf() reads every field, and what is left out of a part as its default", () => {
  const full = spec({
    protocol: ServiceSpec_Protocol.H2C,
    check: { kind: Check_Kind.HTTP, path: "/up?x=1", interval: durationFromMs(1_500), rise: 1, fall: 9 },
    balancer: ServiceSpec_Balancer.RING_HASH,
    limits: { maxConnections: 10, maxQueue: 20 },
    localPort: 5_432,
    policy: { timeoutMs: 5, statuses: { codes: [503, 429, 503] }, budget: { burst: 3 } },
  });
  assert.deepEqual(full, {
    protocol: "H2C",
    check: { kind: "HTTP", path: "/up?x=1", intervalMs: 1_500, rise: 1, fall: 9 },
    policy: { timeoutMs: 5, statuses: [429, 503], budget: { ratioPermille: 0, minPerSec: 0, burst: 3 } },
    balancer: "RING_HASH",
    limits: { maxConnections: 10, maxQueue: 20 },
    localPort: 5_432,
  });
  assert.deepEqual(spec({ check: {}, policy: { statuses: {} } }), {
    ...DEFAULT_SPEC,
    check: { kind: "TCP", intervalMs: 2_000, rise: 2, fall: 3 },
    policy: { statuses: [] },
  });
  assert.deepEqual(spec({ check: { kind: Check_Kind.HTTP } }), {
    ...DEFAULT_SPEC,
    check: { kind: "HTTP", path: "/", intervalMs: 2_000, rise: 2, fall: 3 },
  });
});

Deno.test("specOf() takes the bounds of every range, and nothing beyond them", () => {
  // 0 is how the wire says nothing of these.
  const ranges: [field: string, least: number, most: number, said: (value: number) => Said][] = [
    ["check.interval", 100, 3_600_000, (value) => ({ check: { interval: durationFromMs(value) } })],
    ["check.rise", 1, 100, (rise) => ({ check: { rise } })],
    ["check.fall", 1, 100, (fall) => ({ check: { fall } })],
    ["limits.maxConnections", 0, 1_000_000, (maxConnections) => ({ limits: { maxConnections } })],
    ["limits.maxQueue", 0, 1_000_000, (maxQueue) => ({ limits: { maxConnections: 1, maxQueue } })],
    ["localPort", 1, 65_535, (localPort) => ({ localPort })],
    ["policy.statuses.codes[0]", 100, 599, (code) => ({ policy: { statuses: { codes: [code] } } })],
    ...Object.entries(POLICY_RANGES).map(([name, [least, most]]): typeof ranges[number] => {
      // Delays are held against each other too.
      const other = name === "baseMs" ? { maxMs: 600_000 } : name === "maxMs" ? { baseMs: 0 } : {};
      return [`policy.${name}`, least, most, (value) => ({ policy: { ...other, [name]: value } })];
    }),
    ...Object.entries(BUDGET_RANGES).map(([name, [least, most]]): typeof ranges[number] => [
      `policy.budget.${name}`,
      least,
      most,
      (value) => ({ policy: { budget: { [name]: value } } }),
    ]),
  ];
  for (const [field, least, most, said] of ranges) {
    for (const good of [least, most]) assert.ok(!Array.isArray(spec(said(good))), `${field} ${good}`);
    const below = least > 0 && !["check.rise", "check.fall"].includes(field) ? [least - 1] : [];
    for (const bad of [...below, most + 1]) assert.deepEqual(spec(said(bad)), [`spec.${field}`], `${field} ${bad}`);
  }
});

Deno.test("specOf() refuses words it does not know, and what does not go together", () => {
  const cases: [Said, ...fields: string[]][] = [
    [{ protocol: 9 as never, balancer: 9 as never, check: { kind: 9 as never } }, "protocol", "check.kind", "balancer"],
    [{ check: { path: "/" } }, "check.path"],
    [{ check: { kind: Check_Kind.HTTP, path: "up" } }, "check.path"],
    [{ check: { kind: Check_Kind.HTTP, path: "/a b" } }, "check.path"],
    [{ check: { kind: Check_Kind.HTTP, path: "/a\r\nx: y" } }, "check.path"],
    [{ check: { kind: Check_Kind.HTTP, path: "/é" } }, "check.path"],
    [{ check: { kind: Check_Kind.HTTP, path: `/${"a".repeat(1_024)}` } }, "check.path"],
    [{ check: { interval: create(DurationSchema, { seconds: 1n, nanos: 1 }) } }, "check.interval"],
    [{ limits: { maxQueue: 1 } }, "limits.maxQueue"],
    [{ policy: { baseMs: 300 } }, "policy.baseMs"],
    [{ policy: { maxMs: 24 } }, "policy.baseMs"],
    [{ policy: { baseMs: 2, maxMs: 1 } }, "policy.baseMs"],
  ];
  for (const [said, ...fields] of cases) assert.deepEqual(spec(said), fields.map((field) => `spec.${field}`));
  assert.ok(!Array.isArray(spec({ check: { kind: Check_Kind.HTTP, path: `/${"a".repeat(1_023)}` } })));
});

Deno.test("routeOf() names what is wrong where it stands", () => {
  const route = (said: MessageInitShape<typeof RouteSchema>) =>
    read((fields) => routeOf(fields, create(RouteSchema, said), "aliases[0].route."));
  assert.deepEqual(route({}), ["aliases[0].route.version"]);
  assert.deepEqual(route({ split: [{ version: 1, share: 10_000 }, { version: 0 }] }), [
    "aliases[0].route.split[1].version",
  ]);
  assert.deepEqual(route({ split: [{ version: 1, share: 1 }, { version: 2 }] }), ["aliases[0].route.split"]);
  assert.ok(!isRefusal(route({ version: 1 }) as object));
});

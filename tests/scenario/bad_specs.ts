/** Services' own fields that every transport refuses, and those just within the bounds, as data. */

type Body = Readonly<Record<string, unknown>>;

/** What is wrong with it, what is said, and the fields that the refusal names. */
export type BadSpec = readonly [name: string, body: Body, ...fields: string[]];

/** Bounds of numbers, both allowed; what is below the least is left out where the wire cannot tell it from nothing. */
const RANGES: readonly (readonly [field: string, least: number, most: number, of: (value: number) => Body])[] = [
  ["localPort", 1, 65_535, (localPort) => ({ localPort })],
  ["check.rise", 0, 100, (rise) => ({ check: { rise } })],
  ["check.fall", 0, 100, (fall) => ({ check: { fall } })],
  ["limits.maxConnections", 0, 1_000_000, (maxConnections) => ({ limits: { maxConnections } })],
  ["limits.maxQueue", 0, 1_000_000, (maxQueue) => ({ limits: { maxConnections: 1, maxQueue } })],
  ["policy.statuses.codes[1]", 100, 599, (code) => ({ policy: { statuses: { codes: [500, code] } } })],
  ...([
    ["timeoutMs", 1, 600_000],
    ["perTryMs", 1, 600_000],
    ["minTryMs", 0, 600_000],
    ["maxAttempts", 1, 10],
    ["maxTransparent", 0, 10],
    ["multPermille", 1_000, 10_000],
    ["jitterPermille", 0, 1_000],
    ["maxRetryAfterMs", 0, 600_000],
    ["maxReplayBytes", 0, 16_777_216],
    ["panicPercent", 0, 100],
  ] as const).map(([name, least, most]) =>
    [`policy.${name}`, least, most, (value: number) => ({ policy: { [name]: value } })] as const
  ),
  ["policy.maxMs", 0, 600_000, (maxMs) => ({ policy: { baseMs: 0, maxMs } })],
  ["policy.baseMs", 0, 600_000, (baseMs) => ({ policy: { baseMs, maxMs: 600_000 } })],
  ...([["ratioPermille", 1_000], ["minPerSec", 100], ["burst", 100]] as const).map(([name, most]) =>
    [`policy.budget.${name}`, 0, most, (value: number) => ({ policy: { budget: { [name]: value } } })] as const
  ),
];

const HTTP = { kind: "HTTP" };

export const BAD_SPECS: readonly BadSpec[] = [
  ...RANGES.flatMap(([field, least, most, of]): BadSpec[] =>
    [...least > 0 ? [least - 1] : [], most + 1, 4_294_967_295].map((value) => [`${field} ${value}`, of(value), field])
  ),
  ...["0.099s", "0s", "-1s", "3600.001s", "0.1001s", "315576000000s"].map((interval): BadSpec => [
    `a check each ${interval}`,
    { check: { interval } },
    "check.interval",
  ]),
  ...["up", "?", " /", "/a b", "/a\r\nx: y", "/\0", "/é", `/${"a".repeat(1_024)}`].map((path): BadSpec => [
    `the path ${JSON.stringify(path).slice(0, 20)}`,
    { check: { ...HTTP, path } },
    "check.path",
  ]),
  ["a path to connect to", { check: { kind: "TCP", path: "/" } }, "check.path"],
  ["a path for gRPC", { check: { kind: "GRPC", path: "/" } }, "check.path"],
  ["a queue without a limit", { limits: { maxQueue: 1 } }, "limits.maxQueue"],
  ["a least delay above the default most", { policy: { baseMs: 251 } }, "policy.baseMs"],
  ["a most delay below the default least", { policy: { maxMs: 24 } }, "policy.baseMs"],
  ["a least delay above the most", { policy: { baseMs: 11, maxMs: 10 } }, "policy.baseMs"],
  [
    "all of it wrong",
    { localPort: 0, check: { rise: 101, path: "x" }, limits: { maxQueue: 1 }, policy: { timeoutMs: 0 } },
    ...["check.path", "check.rise", "policy.timeoutMs", "limits.maxQueue", "localPort"],
  ],
];

/** Written in this order, each is another one than before. */
export const GOOD_SPECS: readonly Body[] = [
  ...RANGES.flatMap(([, least, most, of]) => [of(most), of(least)]),
  ...["0.100s", "3600s"].map((interval) => ({ check: { interval } })),
  { check: { ...HTTP, path: `/${"a".repeat(1_023)}` } },
  { check: { ...HTTP, path: "/~!@#$%^&*()?x=%20" } },
  { policy: { statuses: { codes: [] } } },
  ...["TLS", "TCP", "H2C", "HTTP1"].map((protocol) => ({ protocol })),
  ...["RING_HASH", "ROUND_ROBIN", "P2C"].map((balancer) => ({ balancer, localPort: 1 })),
];

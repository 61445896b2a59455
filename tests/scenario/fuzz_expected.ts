/** What the contract makes of things that are made up: its grammar and its defaults once more, in other words. */
import assert from "node:assert/strict";

// deno-lint-ignore no-explicit-any -- whatever was made up
export type Json = any;

// The grammar letter by letter: not the expression that is tested.
export function isName(text: string): boolean {
  const letters = [...text];
  const fine = letters.every((one) => (one >= "a" && one <= "z") || (one >= "0" && one <= "9") || one === "-");
  return fine && text.length >= 1 && text.length <= 63 && letters[0] !== "-" && letters.at(-1) !== "-";
}

const isDigits = (text: string) => text.length > 0 && [...text].every((one) => one >= "0" && one <= "9");

export function isAlias(text: string): boolean {
  return isName(text) && !(text[0] === "v" && isDigits(text.slice(1)));
}

/** Bodies that are good, to be spoilt. */
export const INSTANCES: readonly Json[] = [
  { host: "127.0.0.1", port: 8080 },
  { host: "::1", port: 1, version: 7, weight: 0, zone: "a", hostId: "h-1", metadata: { a: "b", é: "" } },
  { host: "a.example", port: 65_535, version: null, metadata: {}, ttl: null },
  { host: "a", port: 1, ttl: "15s" },
  { host: "a", port: 1, ttl: "1.001s" },
];
export const ROUTES: readonly Json[] = [
  { version: 42 },
  { split: [{ version: 2, share: 9_000 }, { version: 1, share: 1_000 }] },
  { split: [{ version: 1, share: 10_000 }, { version: 2 }, { version: 3, share: 0 }], stickyHeader: "x-user" },
];
export const SPECS: readonly Json[] = [
  {},
  { protocol: "H2C", balancer: "RING_HASH", localPort: 1, limits: { maxConnections: 1, maxQueue: 1 } },
  { check: { kind: "HTTP", path: "/", interval: "1.5s", rise: 1, fall: 1 } },
  { policy: { timeoutMs: 1, maxAttempts: 10, statuses: { codes: [503, 429] }, budget: { ratioPermille: 200 } } },
  { policy: { baseMs: 1, maxMs: 2, multPermille: 1_000, jitterPermille: 0, panicPercent: 100 } },
];

/** What an instance reads as that was registered with `body`; what the contract bounds is within its bounds. */
export function expectedInstance(said: Json): object {
  const { host, port, version, weight, zone, hostId, metadata, ttl, ...unknown } = camel(said);
  assert.deepEqual(unknown, {});
  assert.match(host, /^[a-z0-9.:-]+$/);
  assert.ok(Number.isInteger(port) && port >= 1 && port <= 65_535);
  const values = { version: version ?? 1, weight: weight ?? 100, zone: zone ?? "", hostId: hostId ?? "" };
  assert.ok(values.version >= 1 && values.weight >= 0 && values.weight <= 256);
  assert.ok(values.zone === "" || isName(values.zone));
  assert.ok(values.hostId === "" || isName(values.hostId));
  const milliseconds = ttl == null ? undefined : millis(ttl);
  assert.ok(milliseconds === undefined || milliseconds >= 1_000 && milliseconds <= 86_400_000);
  return {
    id: "i",
    host,
    port,
    ...values,
    metadata: metadata ?? {},
    ...(milliseconds !== undefined && { ttl: duration(milliseconds) }),
  };
}

/** The same for a route. */
export function expectedRoute(said: Json): object {
  const { version, split, stickyHeader, ...unknown } = camel(said);
  assert.deepEqual(unknown, {});
  const header = stickyHeader ?? "";
  const shares = (split ?? []).map((one: Json) => ({ version: one.version, share: one.share ?? 0 }));
  shares.sort((a: Json, b: Json) => a.version - b.version);
  if (shares.length === 0) {
    assert.ok(version >= 1 && header === "");
    return { version, split: [], stickyHeader: "" };
  }
  assert.ok((version ?? 0) === 0);
  assert.ok(shares.length > 1 && new Set(shares.map((one: Json) => one.version)).size === shares.length);
  assert.equal(shares.reduce((sum: number, { share }: Json) => sum + share, 0), 10_000);
  assert.ok(header === "" || isName(header));
  return { version: 0, split: shares, stickyHeader: header };
}

/** The same for a service's own fields; nothing where they are all default. */
export function expectedSpec(said: Json): object | undefined {
  const { protocol, balancer, check, policy, limits, localPort, ...unknown } = camel(said);
  assert.deepEqual(unknown, {});
  const word = (text: Json, none: string, otherwise: string) => text == null || text === none ? otherwise : text;
  const read = {
    protocol: word(protocol, "PROTOCOL_UNSPECIFIED", "HTTP1"),
    ...(check != null && { check: expectedCheck(check) }),
    ...(policy != null && { policy: expectedPolicy(policy) }),
    balancer: word(balancer, "BALANCER_UNSPECIFIED", "P2C"),
    ...(limits != null && { limits: { maxConnections: limits.maxConnections ?? 0, maxQueue: limits.maxQueue ?? 0 } }),
    ...(localPort != null && { localPort }),
  };
  assert.ok(localPort == null || localPort >= 1 && localPort <= 65_535);
  return Object.keys(read).length === 2 && read.protocol === "HTTP1" && read.balancer === "P2C" ? undefined : read;
}

function expectedCheck({ kind, path, interval, rise, fall }: Json): object {
  const isHttp = kind === "HTTP";
  assert.ok(isHttp || !path);
  const milliseconds = interval == null ? 2_000 : millis(interval);
  assert.ok(milliseconds >= 100 && milliseconds <= 3_600_000);
  return {
    kind: kind == null || kind === "KIND_UNSPECIFIED" ? "TCP" : kind,
    path: isHttp ? path || "/" : "",
    interval: duration(milliseconds),
    rise: rise || 2,
    fall: fall || 3,
  };
}

function expectedPolicy({ statuses, budget, ...numbers }: Json): object {
  const { baseMs = 25, maxMs = 250 } = numbers;
  assert.ok((baseMs ?? 25) <= (maxMs ?? 250));
  const codes = [...new Set<number>(statuses?.codes ?? [])].sort((a, b) => a - b);
  assert.ok(codes.every((code) => code >= 100 && code <= 599));
  const { ratioPermille, minPerSec, burst } = budget ?? {};
  return {
    ...Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== null)),
    ...(statuses != null && { statuses: { codes } }),
    ...(budget != null && {
      budget: { ratioPermille: ratioPermille ?? 0, minPerSec: minPerSec ?? 0, burst: burst ?? 0 },
    }),
  };
}

/** Of ms, as the contract's JSON has it. */
function duration(milliseconds: number): string {
  return milliseconds % 1_000 === 0 ? `${milliseconds / 1_000}s` : `${(milliseconds / 1_000).toFixed(3)}s`;
}

function millis(text: string): number {
  const milliseconds = Math.round(parseFloat(text) * 1e6) / 1e3;
  assert.ok(Number.isInteger(milliseconds), text);
  return milliseconds;
}

/** With the fields in their other spelling; what stands under `metadata` is nobody's field. */
function camel(value: Json): Json {
  if (Array.isArray(value)) return value.map(camel);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase()),
      key === "metadata" ? inner : camel(inner),
    ]),
  );
}

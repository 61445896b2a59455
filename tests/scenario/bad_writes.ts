/** Writes that every transport refuses, as data: what is asked for, the code, the fields that the refusal names. */

import { BAD_SPECS, GOOD_SPECS } from "./bad_specs.ts";

export type Operation =
  | "register"
  | "deregister"
  | "disable"
  | "drain"
  | "disable_host"
  | "drain_host"
  | "alias"
  | "unalias"
  | "service"
  | "delete";
export type Code = "INVALID_ARGUMENT" | "NOT_FOUND" | "RESOURCE_EXHAUSTED" | "FAILED_PRECONDITION";

/** What a write names and says. */
export interface Write {
  readonly operation: Operation;
  readonly realm: string;
  readonly service: string;
  /** Absent: the service itself is disabled, all of it drained. */
  readonly id?: string;
  readonly hostId: string;
  readonly alias: string;
  readonly reason?: string;
  readonly operationId?: string;
  /** As JSON: an instance for `register`, a route for `alias`, a service's own fields for `service`. */
  readonly body: Readonly<Record<string, unknown>>;
}

export interface BadWrite extends Write {
  readonly name: string;
  readonly code: Code;
  readonly fields: readonly string[];
}

const INSTANCE = { host: "127.0.0.1", port: 8080 };
const ROUTE = { version: 1 };

/** A write that is accepted, but for what `more` says otherwise. */
export function write(operation: Operation, more: Partial<Write> = {}): Write {
  const body = operation === "register" ? INSTANCE : operation === "alias" ? ROUTE : {};
  return { operation, realm: "local", service: "identity", id: "i1", hostId: "h1", alias: "live", body, ...more };
}

/** No realm, service, alias, instance, host or zone is called so. What is empty is not here: not every field must be. */
export const BAD_NAMES: Readonly<Record<string, string>> = {
  "upper case": "Identity",
  "64 characters": "a".repeat(64),
  "5000 characters": "a".repeat(5_000),
  "a leading hyphen": "-a",
  "a trailing hyphen": "a-",
  "a hyphen alone": "-",
  "a letter with a mark": "identité",
  "a letter that only looks like a": "\u0430pi",
  "full-width digits": "\uff11",
  "an emoji": "🙂",
  "a slash": "a/b",
  "an encoded slash": "a%2fb",
  "a NUL": "a\0",
  "a line end": "a\n",
  "a space": "a b",
  "a tab before": "\ta",
  "a dot": "a.b",
  "an underscore": "a_b",
  "a colon": "a:enable",
  "a semicolon": "a;b",
  "a quote": "a'",
  "a replacement character": "a\ufffd",
};

/** The longest and the oddest names that are names. */
export const GOOD_NAMES = ["a", "0", "a".repeat(63), "a--b", "0-0", "v", "v1x", "constructor"];

const BAD_HOSTS: Readonly<Record<string, string>> = {
  ...BAD_NAMES,
  nothing: "",
  // In place of the one between letters, which is fine in a host.
  "a dot": "a.",
  "two dots": "a..b",
  "254 characters": `${"a.".repeat(126)}aa`,
  "a host and a port": "127.0.0.1:80",
  "brackets": "[::1]",
  "an IPv4 address beyond 255": "127.0.0.256",
  "three numbers": "127.0.1",
  "a number": "2130706433",
  "a hexadecimal number": "0x7f000001",
  "leading zeros": "127.0.0.01",
  "an IPv6 address with a zone": "fe80::1%eth0",
  "all interfaces": "0.0.0.0",
  "all interfaces of IPv6": "::",
  "a URL": "http://a",
};

const BAD_STICKY_HEADERS = [
  "X-User",
  "-x",
  "x-",
  "x y",
  "x:y",
  "x\r\ny",
  "x_y",
  "ü",
  "x".repeat(64),
  "host",
  "connection",
  "content-length",
  "transfer-encoding",
  "portolan-flow",
  "portolan-service",
];

const split = (...shares: [version: number, share: number][]) => ({
  split: shares.map(([version, share]) => ({ version, share })),
});

type Row = readonly [name: string, body: Readonly<Record<string, unknown>>, ...fields: string[]];

const INSTANCES: readonly Row[] = [
  ...Object.entries(BAD_HOSTS).map(([name, host]): Row => [`a host with ${name}`, { ...INSTANCE, host }, "host"]),
  ["neither host nor port", {}, "host", "port"],
  ["port 0", { ...INSTANCE, port: 0 }, "port"],
  ["port 65536", { ...INSTANCE, port: 65_536 }, "port"],
  ["port 4294967295", { ...INSTANCE, port: 4_294_967_295 }, "port"],
  ["version 0", { ...INSTANCE, version: 0 }, "version"],
  ["weight 257", { ...INSTANCE, weight: 257 }, "weight"],
  ...["0s", "-1.5s", "0.999s", "1.0001s", "86400.001s", "315576000000s"].map((ttl): Row => [
    `a ttl of ${ttl}`,
    { ...INSTANCE, ttl },
    "ttl",
  ]),
  ["an empty key", { ...INSTANCE, metadata: { "": "x" } }, "metadata"],
  [
    "everything wrong at once",
    { host: "A", port: 0, version: 0, weight: 999, zone: "Z", hostId: "H", ttl: "0.5s" },
    ...[
      "host",
      "port",
      "version",
      "weight",
      "zone",
      "hostId",
      "ttl",
    ],
  ],
];

const ROUTES: readonly Row[] = [
  ["nowhere to go", {}, "version"],
  ["version 0", { version: 0 }, "version"],
  ["an empty split", { split: [] }, "version"],
  ["both version and split", { version: 1, ...split([1, 5_000], [2, 5_000]) }, "version"],
  ["a split of one", split([1, 10_000]), "split"],
  ["a basis point too few", split([1, 9_000], [2, 999]), "split"],
  ["a basis point too many", split([1, 9_000], [2, 1_001]), "split"],
  ["percent", split([1, 90], [2, 10]), "split"],
  ["one share beyond everything", split([1, 10_001], [2, 0]), "split"],
  ["shares that wrap around to 10000", split([1, 4_294_967_295], [2, 10_001]), "split"],
  ["a version twice", split([1, 5_000], [1, 5_000]), "split"],
  ["a version twice, once with nothing", split([1, 5_000], [2, 5_000], [1, 0]), "split"],
  ["version 0 in a split", split([0, 5_000], [1, 5_000]), "split[0].version"],
  ["two bad versions", split([1, 5_000], [0, 5_000], [0, 0]), "split[1].version", "split[2].version"],
  ["a sticky header without a split", { version: 1, stickyHeader: "x-user" }, "stickyHeader"],
  ...BAD_STICKY_HEADERS.map((stickyHeader): Row => [
    `the sticky header ${JSON.stringify(stickyHeader)}`,
    { ...split([1, 5_000], [2, 5_000]), stickyHeader },
    "stickyHeader",
  ]),
];

const bad = (name: string, code: Code, fields: readonly string[], of: Write): BadWrite => ({
  ...of,
  name,
  code,
  fields,
});
const invalid = (name: string, fields: readonly string[], of: Write) => bad(name, "INVALID_ARGUMENT", fields, of);

/** What each operation names beside the realm; what stands last says what it is about. */
export const NAMED: Readonly<Record<Operation, readonly ("service" | "id" | "alias" | "hostId")[]>> = {
  register: ["service", "id"],
  deregister: ["service", "id"],
  disable: ["service", "id"],
  drain: ["service", "id"],
  disable_host: ["hostId"],
  drain_host: ["hostId"],
  alias: ["service", "alias"],
  unalias: ["service", "alias"],
  service: ["service"],
  delete: ["service"],
};
export const OPERATIONS = Object.keys(NAMED) as readonly Operation[];

/** Of those who take the same names in the same way, one is tried with all of the bad ones. */
const THOROUGH: ReadonlySet<Operation> = new Set(["register", "deregister", "disable", "alias", "drain_host"]);
const FEW = new Set(["upper case", "64 characters", "an encoded slash", "a line end", "a colon"]);

const NAMES: readonly BadWrite[] = Object.entries(BAD_NAMES).flatMap(([what, name]) => [
  ...OPERATIONS.filter((operation) => THOROUGH.has(operation) || FEW.has(what)).flatMap((operation) =>
    (["realm", ...NAMED[operation]] as const).map((field) =>
      invalid(`${operation}: ${field} with ${what}`, [field], write(operation, { [field]: name }))
    )
  ),
  ...["zone", "hostId"].map((field) =>
    invalid(`register: a ${field} with ${what}`, [field], write("register", { body: { ...INSTANCE, [field]: name } }))
  ),
]);

const ALIASES = ["v1", "v0", "v01", "v42", "v99999999999999999999"].map((alias) =>
  invalid(`alias: ${alias} looks like a version`, ["alias"], write("alias", { alias }))
);

/** Two bytes each in UTF-8: over the limit in bytes, not in characters. */
const LONG = "é".repeat(2_048);

const SIZES: readonly BadWrite[] = [
  ...OPERATIONS.flatMap((operation) => [
    invalid(`${operation}: a reason of 1025 bytes`, ["reason"], write(operation, { reason: "r".repeat(1_025) })),
    ...["a b", "a/b", "x".repeat(65)].map((operationId) =>
      invalid(`${operation}: the operation "${operationId}"`, ["operationId"], write(operation, { operationId }))
    ),
  ]),
  ...[{ k: LONG }, { [LONG]: "v" }, Object.fromEntries(Array.from({ length: 683 }, (_, i) => [`${1_000 + i}`, "vv"]))]
    .map((metadata) =>
      bad(
        `register: ${Object.keys(metadata).length} pairs of metadata over 4 KiB`,
        "RESOURCE_EXHAUSTED",
        ["metadata"],
        write("register", { body: { ...INSTANCE, metadata } }),
      )
    ),
];

const { id: _, ...SERVICE } = write("disable", { service: "nowhere" });

const MISSING: readonly BadWrite[] = [
  bad("deregister: no such service", "NOT_FOUND", [], write("deregister", { service: "nowhere" })),
  bad("deregister: no such instance", "NOT_FOUND", [], write("deregister", { id: "nobody" })),
  bad("deregister: no such realm", "NOT_FOUND", [], write("deregister", { realm: "nowhere" })),
  bad("disable: no such service", "NOT_FOUND", [], SERVICE),
  bad("disable: no such realm", "NOT_FOUND", [], { ...SERVICE, realm: "nowhere" }),
  invalid("disable: a service in upper case", ["service"], { ...SERVICE, service: "Nowhere" }),
  bad("disable: no such instance", "NOT_FOUND", [], write("disable", { id: "nobody" })),
  bad("drain: no such instance", "NOT_FOUND", [], write("drain", { id: "nobody" })),
  bad("drain: no such service", "NOT_FOUND", [], { ...SERVICE, operation: "drain" }),
  ...(["disable_host", "drain_host"] as const).flatMap((operation) => [
    bad(`${operation}: no such host`, "NOT_FOUND", [], write(operation, { hostId: "nobody" })),
    bad(`${operation}: no such realm`, "NOT_FOUND", [], write(operation, { realm: "nowhere" })),
  ]),
  bad("unalias: no such alias", "NOT_FOUND", [], write("unalias", { alias: "nothing" })),
  bad("unalias: no such service", "NOT_FOUND", [], write("unalias", { service: "nowhere" })),
  bad("delete: no such service", "NOT_FOUND", [], write("delete", { service: "nowhere" })),
  bad("delete: it has instances", "FAILED_PRECONDITION", [], write("delete")),
  invalid("disable: a bad name before what does not exist", ["id"], write("disable", { service: "nowhere", id: "X" })),
];

/** All of them say something that can be said on every transport. */
export const BAD_WRITES: readonly BadWrite[] = [
  ...NAMES,
  ...ALIASES,
  ...INSTANCES.map(([name, body, ...fields]) => invalid(`register: ${name}`, fields, write("register", { body }))),
  ...ROUTES.map(([name, body, ...fields]) => invalid(`alias: ${name}`, fields, write("alias", { body }))),
  ...BAD_SPECS.map(([name, body, ...fields]) => invalid(`service: ${name}`, fields, write("service", { body }))),
  ...SIZES,
  ...MISSING,
];

/** What is just within every bound; written in this order, each moves the map. */
export const GOOD_WRITES: readonly Write[] = [
  ...GOOD_NAMES.flatMap((name) => [
    write("register", { realm: name, service: name, id: name, body: { ...INSTANCE, zone: name, hostId: name } }),
    write("alias", { realm: name, service: name, alias: name }),
    write("disable", { realm: name, service: name, id: name }),
    write("drain_host", { realm: name, hostId: name }),
    write("deregister", { realm: name, service: name, id: name }),
    write("unalias", { realm: name, service: name, alias: name }),
    write("delete", { realm: name, service: name }),
  ]),
  ...GOOD_SPECS.map((body) => write("service", { body })),
  ...["1s", "1.001s", "86400s"].map((ttl, i) => write("register", { id: `ttl-${i}`, body: { ...INSTANCE, ttl } })),
  ...["::1", "fe80::1", "10.0.0.1", "a.b", `${"a.".repeat(126)}a`, "1a.example", "0x7g.example"].map((host, i) =>
    write("register", { id: `host-${i}`, body: { host, port: 65_535, version: 4_294_967_295, weight: i % 2 * 256 } })
  ),
  write("register", {
    id: "large",
    body: { ...INSTANCE, metadata: { k: `${LONG.slice(1)}v` } },
    reason: "r".repeat(1_024),
  }),
  write("alias", { body: split([1, 10_000], [4_294_967_295, 0]) }),
  write("alias", { body: { ...split([2, 1], [1, 9_999]), stickyHeader: "x".repeat(63) } }),
];

/** What can be wrong over HTTP alone, as data: bodies that are no message, queries, headers, methods, paths. */

/** A body of a `PUT`; its code is INVALID_ARGUMENT. */
export interface BadBody {
  readonly of: "instance" | "route" | "service";
  readonly name: string;
  /** Absent: none is sent. */
  readonly body?: string | Uint8Array;
  readonly fields: readonly string[];
}

export interface BadRequest {
  /** GET unless said. */
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status: number;
  readonly code: string;
  readonly fields: readonly string[];
  /** The methods that the path takes. */
  readonly allow?: string;
}

const bytes = (...parts: (string | number[])[]) =>
  Uint8Array.from(parts.flatMap((part) => typeof part === "string" ? [...new TextEncoder().encode(part)] : part));

/** Wrong for all messages. */
const SHAPELESS: readonly (readonly [name: string, body?: string | Uint8Array])[] = [
  ["no body"],
  ["an empty body", ""],
  ["white space", " \n"],
  ["null", "null"],
  ["a list", "[]"],
  ["a list of objects", "[{}]"],
  ["a text", '"x"'],
  ["a number", "5"],
  ["half an object", '{"host":'],
  ["two objects", "{}{}"],
  ["a comma too many", '{"port":1,}'],
  ["single quotes", "{'port':1}"],
  ["a name without quotes", "{port:1}"],
  ["a comment", "{/**/}"],
  ["NaN", '{"port":NaN}'],
  ["a hexadecimal number", '{"port":0x50}'],
  ["a control character in a text", '{"host":"a\nb"}'],
  ["a bad escape", '{"host":"\\x41"}'],
  ["UTF-16", bytes([0xff, 0xfe, 0x7b, 0, 0x7d, 0])],
  ["a form", "host=127.0.0.1&port=1"],
  ["gzip", bytes([0x1f, 0x8b, 8, 0, 0, 0, 0, 0])],
  ["deep lists", "[".repeat(100_000)],
  ["deep lists that end", `${"[".repeat(100_000)}${"]".repeat(100_000)}`],
  ["deep objects", `${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}`.slice(1)],
];

const BROKEN_UTF8: readonly (readonly [name: string, bytes: number[]])[] = [
  ["a lone continuation byte", [0x80]],
  ["a cut sequence", [0xe2, 0x82]],
  ["an overlong form", [0xc0, 0xaf]],
  ["an encoded surrogate", [0xed, 0xa0, 0x80]],
  ["beyond Unicode", [0xf4, 0x90, 0x80, 0x80]],
  ["0xff", [0xff]],
];

const TEXT = [5, true, [], ["a"], {}];
const WHOLE = ["8080", "", 80.5, -1, 4_294_967_296, 1e21, true, [], [80], {}];
const OBJECT = [5, "x", true, [], [{}]];
const LIST = [5, "x", true, {}];
const DURATION = [15, "15", "15 s", "1m", "s", "", "1e3s", "999999999999s", "0.0000000001s", true, [], {}];

const GOOD_INSTANCE = { host: "127.0.0.1", port: 8080 };
const GOOD_SHARES = [{ version: 1, share: 5_000 }, { version: 2, share: 5_000 }];

function wrongTypes(of: BadBody["of"], field: string, values: readonly unknown[], message: object): BadBody[] {
  return values.map((value) => {
    const json = JSON.stringify(value);
    return { of, name: `${field} is ${json}`, body: JSON.stringify({ ...message, [field]: value }), fields: [field] };
  });
}

const wrongShare = (value: unknown, ...fields: string[]): BadBody => {
  const body = JSON.stringify({ split: [value, GOOD_SHARES[1]] });
  return { of: "route", name: `a share is ${JSON.stringify(value)}`, body, fields };
};

/** A body that says `value` at a path, like `policy.statuses.codes[0]`. */
function nested(path: string, value: unknown): string {
  const keys = path.replace(/\[0\]$/, ".").split(".").reverse();
  return JSON.stringify(keys.reduce((inner, key) => key === "" ? [inner] : { [key]: inner }, value));
}

const service = (name: string, body: string, ...fields: string[]): BadBody => ({ of: "service", name, body, fields });
const instance = (name: string, body: string, ...fields: string[]): BadBody => ({ of: "instance", name, body, fields });
const route = (name: string, body: string, ...fields: string[]): BadBody => ({ of: "route", name, body, fields });

export const BAD_BODIES: readonly BadBody[] = [
  ...(["instance", "route", "service"] as const).flatMap((of) => [
    ...SHAPELESS.map(([name, body]): BadBody => ({ of, name, ...(body !== undefined && { body }), fields: ["body"] })),
    ...BROKEN_UTF8.flatMap(([name, broken]): BadBody[] => [
      { of, name: `${name} in a text`, body: bytes('{"host":"', broken, '"}'), fields: ["body"] },
      { of, name: `${name} in a name`, body: bytes('{"', broken, '":1}'), fields: ["body"] },
      { of, name: `${name} outside`, body: bytes("{}", broken), fields: ["body"] },
    ]),
  ]),

  ...wrongTypes("instance", "host", TEXT, GOOD_INSTANCE),
  ...wrongTypes("instance", "port", WHOLE, GOOD_INSTANCE),
  ...wrongTypes("instance", "version", WHOLE, GOOD_INSTANCE),
  ...wrongTypes("instance", "weight", WHOLE, GOOD_INSTANCE),
  ...wrongTypes("instance", "zone", TEXT, GOOD_INSTANCE),
  ...wrongTypes("instance", "hostId", TEXT, GOOD_INSTANCE),
  ...wrongTypes("instance", "host_id", TEXT, GOOD_INSTANCE),
  ...wrongTypes("instance", "metadata", OBJECT, GOOD_INSTANCE),
  ...wrongTypes("instance", "ttl", DURATION, GOOD_INSTANCE),
  instance("host is null", '{"host":null,"port":1}', "host"),
  instance("port is null", '{"host":"a","port":null}', "port"),
  instance("port is beyond all numbers", '{"host":"a","port":1e400}', "port"),
  ...[5, true, null, [], {}].map((value) =>
    instance(
      `metadata holds ${JSON.stringify(value)}`,
      JSON.stringify({ ...GOOD_INSTANCE, metadata: { a: "b", k: value } }),
      "metadata.k",
    )
  ),
  instance("a lone surrogate in a host", '{"host":"\\ud800","port":1}', "host"),
  instance("a lone surrogate in metadata", '{"host":"a","port":1,"metadata":{"k":"\\udc00x"}}', "metadata.k"),
  instance("a lone surrogate in a key", '{"host":"a","port":1,"metadata":{"\\ud800":"v"}}', "metadata"),
  instance(
    "a key that objects have already",
    '{"host":"a","port":1,"metadata":{"__proto__":"v"}}',
    "metadata.__proto__",
  ),
  instance("an unknown field", '{"host":"a","port":1,"hots":"b"}', "hots"),
  instance("a field of the map that no registrar says", '{"host":"a","port":1,"enabled":true}', "enabled"),
  instance("a field in another case", '{"Host":"a","port":1}', "Host"),
  instance("a prototype", '{"host":"a","port":1,"__proto__":{"port":2}}', "__proto__"),
  instance("a constructor", '{"host":"a","port":1,"constructor":1}', "constructor"),
  instance("all unknown", '{"a":1,"b":{"c":2}}', "a", "b"),
  instance("a name twice", '{"host":"a","port":1,"port":2}', "port"),
  instance("a name twice, spelt apart", '{"host":"a","port":1,"p\\u006frt":2}', "port"),
  instance("a name twice in metadata", '{"host":"a","port":1,"metadata":{"k":"a","k":"b"}}', "k"),
  instance("a field in both spellings", '{"host":"a","port":1,"hostId":"a","host_id":"b"}', "host_id"),

  ...wrongTypes("route", "version", WHOLE, {}),
  ...wrongTypes("route", "split", LIST, {}),
  ...wrongTypes("route", "stickyHeader", TEXT, { split: GOOD_SHARES }),
  route("version is null", '{"version":null}', "version"),
  ...WHOLE.map((share) => wrongShare({ version: 1, share }, "split[0].share")),
  ...WHOLE.map((version) => wrongShare({ version, share: 5_000 }, "split[0].version")),
  ...[5, "v1=5000", true, null, [], [1, 5_000]].map((value) => wrongShare(value, "split[0]")),
  wrongShare({}, "split[0].version", "split"),
  wrongShare({ version: 1, share: 5_000, weight: 1 }, "split[0].weight"),
  wrongShare({ version: 1, share: 5_000, a: { b: 1 } }, "split[0].a"),
  route("an unknown field", '{"version":1,"sticky":"x"}', "sticky"),
  route("a name twice in a share", '{"split":[{"version":1,"version":2,"share":1}]}', "version"),

  ...wrongTypes("service", "protocol", [5, "http1", "HTTP2", "", true, [], {}], {}),
  ...wrongTypes("service", "balancer", [5, "p2c", "", true, [], {}], {}),
  ...wrongTypes("service", "localPort", WHOLE, {}),
  ...wrongTypes("service", "local_port", WHOLE, {}),
  ...["check", "policy", "limits"].flatMap((field) => wrongTypes("service", field, OBJECT, {})),
  ...["check.path", "check.kind", "check.interval", "check.rise", "limits.maxQueue", "policy.timeoutMs"]
    .concat("policy.statuses", "policy.statuses.codes", "policy.statuses.codes[0]", "policy.budget.burst")
    .map((field) => service(`${field} is true`, nested(field, true), field)),
  service("an unknown field", '{"enabled":true}', "enabled"),
  service("an unknown field of a check", '{"check":{"url":"/"}}', "check.url"),
  service("an unknown field of a policy", '{"policy":{"timeout_ms":1,"timeout":1}}', "policy.timeout"),
  service("a field in both spellings", '{"localPort":1,"local_port":1}', "local_port"),
];

const REALM = "/api/v1/realms/local";
const SERVICE = `${REALM}/services/identity`;
const INSTANCE = `${SERVICE}/instances/i1`;

const READS = [`${REALM}/map`, `${REALM}/services`, SERVICE, INSTANCE, `${SERVICE}/aliases/canary`];

const refused = (path: string, ...fields: string[]): BadRequest => ({
  path,
  status: 400,
  code: "INVALID_ARGUMENT",
  fields,
});
const missing = (path: string, method = "GET"): BadRequest => ({
  method,
  path,
  status: 404,
  code: "NOT_FOUND",
  fields: [],
});

const QUERIES: readonly BadRequest[] = [
  ...READS.flatMap((path) => [
    refused(`${path}?minrevision=1`, "minrevision"),
    refused(`${path}?at=1&minRevision=1`, "minRevision"),
    ...["", "x", "-1", "9223372036854775808", "2026-01-31", "2026-01-31T12:00:00", "9223372036854775807"].map((at) =>
      refused(`${path}?at=${encodeURIComponent(at)}`, "at")
    ),
    ...["", "x", "-1", "+1", "1.5", "1e3", "0x1", " 1", "9223372036854775808", "1".repeat(20), "١"].map((revision) =>
      refused(`${path}?minRevision=${encodeURIComponent(revision)}`, "minRevision")
    ),
  ]),
  refused(`${REALM}/watch?at=1`, "at"),
  refused(`${REALM}/watch?services=a`, "services"),
  refused(`${REALM}/watch?service=a&service=B`, "service"),
  refused(`${REALM}/watch?service=`, "service"),
  refused(`${REALM}/followers?kind=SDK`, "kind"),
  { ...refused(`${REALM}/followers/a?kind=SDK`, "kind"), method: "DELETE" },
  refused(`${REALM}/wait?revison=1`, "revison"),
  refused(`${REALM}/history?limits=1`, "limits"),
  refused("/api/v1/backup?x=1", "x"),
  refused("/api/v1/backup", "store"),
  { ...refused(`${SERVICE}?force=1`, "force"), method: "DELETE" },
  { ...refused(`${SERVICE}?forced=true`, "forced"), method: "DELETE" },
  { ...refused(`${SERVICE}:drain?x`, "x"), method: "POST" },
  { ...refused(`${REALM}/hosts/h1:drain?x`, "x"), method: "POST" },
  { ...refused(`${REALM}/held:release?x`, "x"), method: "POST" },
  { ...refused(`${INSTANCE}?force=true`, "force"), method: "DELETE" },
  { ...refused(`${INSTANCE}:disable?force=true`, "force"), method: "POST" },
  { ...refused(`${SERVICE}:disable?x`, "x"), method: "POST" },
];

const POSITIONS = ["", "x", "1.", ".1", "1.2.3", "-1", "1.-1", "0.1", "1 .2", "1,2", "9223372036854775808"]
  .concat("9223372036854775808.1", "1".repeat(20), `1.${"1".repeat(20)}`);

const RESUMED: readonly BadRequest[] = POSITIONS.flatMap((position) => [
  refused(`${REALM}/watch?after=${encodeURIComponent(position)}`, "after"),
  { ...refused(`${REALM}/watch?after=1.1`, "Last-Event-ID"), headers: { "last-event-id": position } },
]);

const ALLOWED: readonly (readonly [allow: string, ...paths: string[]])[] = [
  ["GET, HEAD", ...["map", "services", "watch", "followers", "wait", "history"].map((part) => `${REALM}/${part}`)],
  ["GET, HEAD", "/api/v1/backup", "/metrics"],
  ["GET, HEAD, PUT, DELETE", SERVICE],
  ["DELETE", `${REALM}/followers/a`],
  ["GET, HEAD", "/healthz", "/readyz"],
  ["GET, HEAD, PUT, DELETE", `${SERVICE}/aliases/canary`],
  ["GET, HEAD, PUT, DELETE", INSTANCE],
  [
    "POST",
    ...[SERVICE, INSTANCE, `${REALM}/hosts/h1`].flatMap((of) =>
      ["enable", "disable", "drain"].map((verb) => `${of}:${verb}`)
    ),
    `${INSTANCE}:renew`,
    `${REALM}/held:release`,
  ],
];

const METHODS: readonly BadRequest[] = ALLOWED.flatMap(([allow, ...paths]) =>
  paths.flatMap((path) =>
    ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "PROPFIND"]
      .filter((method) => !allow.split(", ").includes(method))
      .map((method) => ({ method, path, status: 405, code: "UNIMPLEMENTED", fields: [], allow }))
  )
);

const PATHS: readonly BadRequest[] = [
  ...[
    "/",
    "/api",
    "/api/v1",
    "/api/v2/realms/local/map",
    "/api/v1/realms",
    REALM,
    `${REALM}/`,
    `${REALM}/maps`,
    `${REALM}/map/`,
    `/${REALM}/map`,
    `${REALM}/services/`,
    `${SERVICE}/instances`,
    `${SERVICE}/instances/`,
    `${INSTANCE}/x`,
    `${REALM}/services/nowhere`,
    `${SERVICE}/instances/nobody`,
    `${SERVICE}/aliases/nothing`,
    "/api/v1/realms//map",
  ].map((path) => missing(path)),
  // With no id it must not be taken for the service's own switch.
  missing(`${SERVICE}/instances/:disable`, "POST"),
  missing(`${REALM}/services/:disable`, "POST"),
  missing(`${INSTANCE}/disable`, "POST"),
  missing(`${SERVICE}:renew`, "POST"),
  missing(`${REALM}/hosts/:drain`, "POST"),
  missing(`${REALM}/hosts/h1:renew`, "POST"),
  missing(`${REALM}/hosts/h1`, "POST"),
  missing(`${REALM}/held`, "POST"),
  missing(`${REALM}/followers/nobody`, "DELETE"),
  missing(`${INSTANCE}:explode`, "POST"),
  ...["%20", "A", "%00", "%ff", "%zz", "%ED%A0%80", "a%2Fb", "a%2fb", "i%3Aenable", "i:x", "a;b", "%2525"].flatMap((
    id,
  ) => [
    refused(`${SERVICE}/instances/${id}`, "id"),
    refused(`${REALM}/services/${id}`, "service"),
    refused(`/api/v1/realms/${id}/map`, "realm"),
    refused(`${SERVICE}/aliases/${id}`, "alias"),
    { ...refused(`${SERVICE}/instances/${id}`, "id"), method: "DELETE" },
  ]),
  refused("/api/v1/realms/A/services/B/instances/C", "realm", "service", "id"),
  refused("/api/v1/realms/A/services/B/aliases/v1", "realm", "service", "alias"),
  refused("/api/v1/realms/A/followers", "realm"),
  refused("/api/v1/realms/A/watch", "realm"),
  refused("/api/v1/realms/A/wait", "realm"),
  refused("/api/v1/realms/A/history", "realm"),
  { ...refused("/api/v1/realms/A/hosts/H:drain", "realm", "hostId"), method: "POST" },
  { ...refused("/api/v1/realms/A/held:release", "realm"), method: "POST" },
  { ...refused("/api/v1/realms/A/followers/b", "realm"), method: "DELETE" },
];

export const BAD_REQUESTS: readonly BadRequest[] = [...QUERIES, ...RESUMED, ...METHODS, ...PATHS];

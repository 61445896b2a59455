import assert from "node:assert/strict";
import { anyName, anyValue, Chance, mutateBytes, mutateJson } from "./fuzz.ts";
import {
  expectedInstance,
  expectedRoute,
  expectedSpec,
  INSTANCES,
  isAlias,
  isName,
  type Json,
  ROUTES,
  SPECS,
} from "./fuzz_expected.ts";
import { assertMany, fuzz, type FuzzedPlane } from "./fuzzed_plane.ts";

const NAMES = 15_000;
const BODIES = 25_000;

/** What holds whatever is asked: no fault of the server, a problem where it is refused, and then nothing was written. */
async function asks(plane: FuzzedPlane, path: string, init: RequestInit): Promise<{ status: number; text: string }> {
  const before = plane.map();
  const response = await plane.request(path, init);
  const { status } = response;
  const isStream = response.headers.get("content-type") === "text/event-stream";
  const text = isStream ? "" : await response.text();
  if (isStream) await response.body?.cancel();
  assert.ok(status < 500, `${init.method} ${path} is answered with ${status}: ${text}`);
  if (status >= 400) {
    assert.equal(response.headers.get("content-type"), "application/problem+json");
    if (init.method !== "HEAD") assert.equal(JSON.parse(text).status, status);
    assert.equal(plane.map(), before, `${init.method} ${path} was refused and written`);
  }
  return { status, text };
}

/** As in a path: letters that need not be escaped sometimes are. */
function escaped(chance: Chance, name: string): string {
  const plain = encodeURIComponent(name);
  if (!chance.oneIn(5)) return plain;
  return plain.replace(/[a-z-]/g, (one) => chance.oneIn(3) ? `%${one.charCodeAt(0).toString(16)}` : one);
}

type Named = readonly [realm: string, service: string, name: string];

/** Paths that name something, how they are asked for, and what is answered where all of the names are names. */
const NAMED: readonly {
  readonly path: (...names: Named) => string;
  readonly init: RequestInit;
  readonly good: (...names: Named) => boolean;
  readonly status: number;
}[] = [
  {
    path: (realm, service, name) => `${realm}/services/${service}/instances/${name}`,
    init: { method: "PUT", body: '{"host":"a","port":1}' },
    good: (...names) => names.every(isName),
    status: 200,
  },
  {
    path: (realm, service, name) => `${realm}/services/${service}/aliases/${name}`,
    init: { method: "PUT", body: '{"version":1}' },
    good: (realm, service, name) => isName(realm) && isName(service) && isAlias(name),
    status: 200,
  },
  {
    path: (realm, service) => `${realm}/services/${service}`,
    init: { method: "PUT", body: "{}" },
    good: (realm, service) => isName(realm) && isName(service),
    status: 200,
  },
  {
    path: (realm, _, name) => `${realm}/hosts/${name}:drain`,
    init: { method: "POST" },
    good: (realm, _, name) => isName(realm) && isName(name),
    status: 404,
  },
];

Deno.test("HTTP takes a name exactly when it is one, and changes nothing otherwise", async () => {
  const reserved = new Set(["", ".", ".."]);
  await fuzz(NAMES, async (plane, chance) => {
    const [realm, service, name] = Array.from({ length: 3 }, () => chance.oneIn(2) ? "a" : anyName(chance));
    const names = [realm, service, name] as unknown as Named;
    const { path, init, good, status } = chance.pick(NAMED);
    const said = names.map((one) => escaped(chance, one)) as unknown as Named;
    const url = `/api/v1/realms/${path(...said)}`;
    const answer = await asks(plane, url, init);
    // What is no segment of a path is another path.
    if (names.some((one) => reserved.has(one))) return assert.notEqual(answer.status, 500, url);
    assert.equal(answer.status, good(...names) ? status : 400, `${url}: ${answer.text}`);
    if (answer.status !== 200) return;
    const read = JSON.parse((await asks(plane, url, { method: "GET" })).text);
    assert.ok([names[1], names[2]].includes(read.id ?? read.name));
  });
});

/** A body that is almost right, as bytes. */
function anyBody(chance: Chance, good: readonly object[]): Uint8Array {
  const value = structuredClone(chance.pick(good)) as Record<string, unknown>;
  for (let times = chance.below(4); times > 0; times--) mutateJson(chance, value);
  const text = JSON.stringify(chance.oneIn(50) ? anyValue(chance) : value);
  const bytes = new TextEncoder().encode(text);
  return chance.oneIn(3) ? mutateBytes(chance, bytes) : bytes;
}

/** What is put, and what it reads as then. */
const RESOURCES = [
  { path: "services/a/instances/i", good: INSTANCES, expected: expectedInstance },
  {
    path: "services/a/aliases/live",
    good: ROUTES,
    expected: (said: Json) => ({ name: "live", route: expectedRoute(said) }),
  },
  { path: "services/a", good: SPECS, expected: (said: Json) => ({ name: "a", spec: expectedSpec(said) }) },
];

Deno.test("HTTP takes no body that it does not read back exactly, and changes nothing otherwise", async () => {
  let accepted = 0;
  await fuzz(BODIES, async (plane, chance) => {
    const { path, good, expected } = chance.pick(RESOURCES);
    const url = `/api/v1/realms/local/${path}`;
    const body = anyBody(chance, good);
    const { status } = await asks(plane, url, { method: "PUT", body: body as BodyInit });
    if (status !== 200) return;
    accepted++;
    const said = JSON.parse(new TextDecoder().decode(body));
    const read = JSON.parse((await asks(plane, url, {})).text);
    for (const observed of ["modified", "specModified", "enabled", "status", "draining", "held"]) delete read[observed];
    if (good === SPECS) { for (const part of ["instances", "aliases"]) delete read[part]; }
    assert.deepEqual({ spec: undefined, ...read }, { spec: undefined, ...expected(said) });
  });
  assertMany(accepted, BODIES);
});

Deno.test("HTTP takes no beat that is none, and a beat changes nothing", async () => {
  const url = "/api/v1/realms/local/services/a/instances/i";
  let alive = 0;
  await fuzz(BODIES / 10, async (plane, chance) => {
    const body = '{"host":"a","port":1,"ttl":"15s"}';
    const { leaseId } = JSON.parse((await asks(plane, url, { method: "PUT", body })).text);
    const before = plane.map();
    const beat = anyBody(chance, [{ leaseId }, { leaseId, statuses: [] }, { lease_id: leaseId }]);
    const { status } = await asks(plane, `${url}:renew`, { method: "POST", body: beat as BodyInit });
    assert.ok([200, 400, 404, 413].includes(status), String(status));
    if (status === 200) alive++;
    assert.equal(plane.map(), before);
  });
  assertMany(alive, BODIES / 10);
});

const QUERIES = ["after", "service", "x", "at", "minRevision", "revision", "timeout", "limit", "operationId", "force"];
const HEADERS = ["last-event-id", "portolan-reason", "if-match", "content-type", "accept", "range"]
  .concat("if-none-match", "portolan-operation-id");

Deno.test("HTTP answers any method, path, query and header without a fault", async () => {
  const segments = ["api", "v1", "realms", "local", "services", "map", "watch", "followers", "instances", "aliases"]
    .concat("wait", "history", "hosts", "held", "backup");
  await fuzz(NAMES / 5, async (plane, chance) => {
    const known = `/api/v1/realms/${escaped(chance, anyName(chance))}`;
    const more = Array.from(
      { length: chance.below(6) },
      () =>
        chance.oneIn(3)
          ? escaped(chance, anyName(chance))
          : chance.oneIn(9)
          ? `%${anyName(chance)}`
          : chance.pick(segments),
    );
    const verb = chance.oneIn(5) ? `:${chance.pick(["enable", "disable", "drain", "renew", "release", "x", ""])}` : "";
    const query = chance.oneIn(3)
      ? `?${chance.pick(QUERIES)}=${
        encodeURIComponent(chance.oneIn(3) ? chance.pick(["0", "1", "9", "true", "0s", "7.1"]) : anyName(chance))
      }`
      : chance.oneIn(5)
      ? "?%"
      : "";
    const method = chance.pick(["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "X"]);
    const value = anyName(chance).replace(/[^\t\x20-\x7e\x80-\xff]/g, "");
    const header = chance.pick(HEADERS);
    const init = { method, headers: { [header]: value }, ...(method === "PUT" && { body: "{}" }) };
    await asks(plane, [known, ...more].join("/") + verb + query, init);
  });
});

import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { anonymous } from "../../control-plane/app/caller.ts";
import { isRefusal, type Refusal } from "../../control-plane/domain/refusal.ts";
import { encodeUpdate } from "../../control-plane/transport/encode.ts";
import { grpcStatus } from "../../control-plane/transport/status.ts";
import { type WatchCall, WatchSession } from "../../control-plane/transport/watch.ts";
import { type Order, putAliasOrder, registerOrder } from "../../control-plane/transport/decode.ts";
import { serviceDefinition, Undecodable } from "../../proto/grpc.ts";
import {
  DiscoveryService,
  Follower_Kind,
  GetMapResponseSchema,
  WatchRequestSchema,
} from "../../proto/gen/portolan/v1/discovery_pb.ts";
import type { Service } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import {
  type PutAliasRequest,
  PutAliasRequestSchema,
  type RegisterRequest,
  RegisterRequestSchema,
  RegistryService,
} from "../../proto/gen/portolan/v1/registry_pb.ts";
import { anyName, anyValue, Chance, mutateBytes, mutateJson } from "./fuzz.ts";
import { type FuzzedPlane, fuzzedPlane } from "./fuzzed_plane.ts";

const SEED = Number(Deno.env.get("PORTOLAN_FUZZ_SEED") ?? Math.floor(Math.random() * 2 ** 31));
const NAMES = 30_000;
const BODIES = 40_000;
const MESSAGES = 30_000;
const WATCHES = 2_000;

/** Runs `once` that often; a failure says how to see it again. The map begins anew now and then, so that it stays small. */
async function fuzz(times: number, once: (plane: FuzzedPlane, chance: Chance) => Promise<void>): Promise<void> {
  const chance = new Chance(SEED);
  for (let done = 0; done < times;) {
    await using plane = await fuzzedPlane();
    for (const until = Math.min(times, done + 5_000); done < until; done++) {
      try {
        await once(plane, chance);
        plane.assertNoFaults();
      } catch (error) {
        throw new Error(`Case ${done} of PORTOLAN_FUZZ_SEED=${SEED}: ${(error as Error).message}`, { cause: error });
      }
    }
  }
}

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

// The grammar once more, letter by letter: not the expression that is tested.
function isName(text: string): boolean {
  const letters = [...text];
  const fine = letters.every((one) => (one >= "a" && one <= "z") || (one >= "0" && one <= "9") || one === "-");
  return fine && text.length >= 1 && text.length <= 63 && letters[0] !== "-" && letters.at(-1) !== "-";
}

const isDigits = (text: string) => text.length > 0 && [...text].every((one) => one >= "0" && one <= "9");
const isAlias = (text: string) => isName(text) && !(text[0] === "v" && isDigits(text.slice(1)));

/** As in a path: letters that need not be escaped sometimes are. */
function escaped(chance: Chance, name: string): string {
  const plain = encodeURIComponent(name);
  if (!chance.oneIn(5)) return plain;
  return plain.replace(/[a-z-]/g, (one) => chance.oneIn(3) ? `%${one.charCodeAt(0).toString(16)}` : one);
}

Deno.test("HTTP takes a name exactly when it is one, and changes nothing otherwise", async () => {
  const reserved = new Set(["", ".", ".."]);
  await fuzz(NAMES, async (plane, chance) => {
    const [realm, service, name] = Array.from({ length: 3 }, () => chance.oneIn(2) ? "a" : anyName(chance));
    const names = [realm, service, name] as [string, string, string];
    const isAliasPath = chance.oneIn(2);
    const [at, id] = isAliasPath ? ["aliases", name] : ["instances", name];
    const path = names.map((one) => escaped(chance, one));
    const url = `/api/v1/realms/${path[0]}/services/${path[1]}/${at}/${path[2]}`;
    const body = isAliasPath ? '{"version":1}' : '{"host":"a","port":1}';
    const { status, text } = await asks(plane, url, { method: "PUT", body });
    // What is no segment of a path is another path.
    if (names.some((one) => reserved.has(one))) return assert.notEqual(status, 200, url);
    const good = isName(names[0]) && isName(names[1]) && (isAliasPath ? isAlias : isName)(id!);
    assert.equal(status, good ? 200 : 400, `${url}: ${text}`);
    if (!good) return;
    const read = await asks(plane, url, { method: "GET" });
    assert.equal(JSON.parse(read.text)[isAliasPath ? "name" : "id"], name);
  });
});

const INSTANCES = [
  { host: "127.0.0.1", port: 8080 },
  { host: "::1", port: 1, version: 7, weight: 0, zone: "a", hostId: "h-1", metadata: { a: "b", é: "" } },
  { host: "a.example", port: 65_535, version: null, metadata: {}, ttl: null },
];
const ROUTES = [
  { version: 42 },
  { split: [{ version: 2, share: 9_000 }, { version: 1, share: 1_000 }] },
  { split: [{ version: 1, share: 10_000 }, { version: 2 }, { version: 3, share: 0 }], stickyHeader: "x-user" },
];

// deno-lint-ignore no-explicit-any -- whatever was made up
type Json = any;

/** A body that is almost right, as bytes. */
function anyBody(chance: Chance, good: readonly object[]): Uint8Array {
  const value = structuredClone(chance.pick(good)) as Record<string, unknown>;
  for (let times = chance.below(4); times > 0; times--) mutateJson(chance, value);
  const text = JSON.stringify(chance.oneIn(50) ? anyValue(chance) : value);
  const bytes = new TextEncoder().encode(text);
  return chance.oneIn(3) ? mutateBytes(chance, bytes) : bytes;
}

/** What an instance reads as that was registered with `body`; what the contract bounds is within its bounds. */
function expectedInstance(body: Json): object {
  const { host, port, version, weight, zone, hostId, host_id, metadata, ttl, ...unknown } = body;
  assert.deepEqual(unknown, {});
  assert.equal(ttl ?? null, null);
  assert.match(host, /^[a-z0-9.:-]+$/);
  assert.ok(Number.isInteger(port) && port >= 1 && port <= 65_535);
  const values = { version: version ?? 1, weight: weight ?? 100, zone: zone ?? "", hostId: hostId ?? host_id ?? "" };
  assert.ok(values.version >= 1 && values.weight >= 0 && values.weight <= 256);
  assert.ok(values.zone === "" || isName(values.zone));
  assert.ok(values.hostId === "" || isName(values.hostId));
  return { id: "i", host, port, ...values, metadata: metadata ?? {} };
}

/** The same for a route. */
function expectedRoute(body: Json): object {
  const { version, split, stickyHeader, sticky_header, ...unknown } = body;
  assert.deepEqual(unknown, {});
  const header = stickyHeader ?? sticky_header ?? "";
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

Deno.test("HTTP takes no body that it does not read back exactly, and changes nothing otherwise", async () => {
  const resources = [
    { path: "/api/v1/realms/local/services/a/instances/i", good: INSTANCES },
    { path: "/api/v1/realms/local/services/a/aliases/live", good: ROUTES },
  ];
  let accepted = 0;
  await fuzz(BODIES, async (plane, chance) => {
    const { path, good } = chance.pick(resources);
    const body = anyBody(chance, good);
    const { status } = await asks(plane, path, { method: "PUT", body: body as BodyInit });
    if (status !== 200) return;
    accepted++;
    const said = JSON.parse(new TextDecoder().decode(body));
    const { modified: _, enabled: _enabled, status: _status, ...read } = JSON.parse((await asks(plane, path, {})).text);
    assert.deepEqual(read, good === INSTANCES ? expectedInstance(said) : { name: "live", route: expectedRoute(said) });
  });
  // Were nearly all of them refused, the corpus would not reach far.
  assert.ok(accepted > BODIES / 10, `${accepted} of ${BODIES} accepted, with PORTOLAN_FUZZ_SEED=${SEED}`);
});

Deno.test("HTTP answers any method, path, query and header without a fault", async () => {
  const segments = ["api", "v1", "realms", "local", "services", "map", "watch", "followers", "instances", "aliases"];
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
    const verb = chance.oneIn(5) ? `:${chance.pick(["enable", "disable", "drain", "x", ""])}` : "";
    const query = chance.oneIn(3)
      ? `?${chance.pick(["after", "service", "x"])}=${encodeURIComponent(anyName(chance))}`
      : chance.oneIn(5)
      ? "?%"
      : "";
    const method = chance.pick(["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "X"]);
    const value = anyName(chance).replace(/[^\t\x20-\x7e\x80-\xff]/g, "");
    const header = chance.pick(["last-event-id", "portolan-reason", "if-match", "content-type", "accept", "range"]);
    const init = { method, headers: { [header]: value }, ...(method === "PUT" && { body: "{}" }) };
    await asks(plane, [known, ...more].join("/") + verb + query, init);
  });
});

const requests = serviceDefinition(RegistryService);

/** A write as its bytes were decoded, or why not. */
function decoded<M extends DescMessage>(method: string, bytes: Uint8Array): MessageShape<M> | Undecodable {
  return requests[method]!.requestDeserialize(Buffer.from(bytes)) as MessageShape<M> | Undecodable;
}

function registration(chance: Chance): Uint8Array {
  const { ttl: _, version, ...instance } = structuredClone(chance.pick(INSTANCES)) as Json;
  const target = { realm: "local", service: chance.oneIn(3) ? anyName(chance) : "a", id: "i" };
  const message = create(RegisterRequestSchema, { ...target, instance: { ...instance, ...(version && { version }) } });
  if (chance.oneIn(4)) message.instance!.metadata = Object.fromEntries([[anyName(chance), anyName(chance)]]);
  if (chance.oneIn(9)) message.options = { $typeName: "portolan.v1.WriteOptions", reason: anyName(chance) };
  return toBinary(RegisterRequestSchema, message);
}

function aliasing(chance: Chance): Uint8Array {
  const route = structuredClone(chance.pick(ROUTES)) as Json;
  const message = create(PutAliasRequestSchema, { realm: "local", service: "a", alias: "live", route });
  if (chance.oneIn(4)) message.alias = anyName(chance);
  return toBinary(PutAliasRequestSchema, message);
}

/** Does what a handler does with an order; what the map has then is as it goes over the wire. */
async function written(plane: FuzzedPlane, order: Order | Refusal): Promise<Service | undefined> {
  const before = plane.map();
  const caller = anonymous(new AbortController().signal, "");
  const outcome = isRefusal(order) ? order : await plane.ports.operations.execute(caller, order.command);
  if (isRefusal(outcome)) {
    assert.ok([3, 8].includes(grpcStatus(outcome).code), outcome.message);
    assert.equal(plane.map(), before);
    return undefined;
  }
  const { realm, service } = (order as Order).command;
  const update = await plane.ports.operations.read(caller, { realm, services: new Set([service]) }, outcome.revision);
  assert.ok(!isRefusal(update));
  const parts = encodeUpdate(update, 0).map((bytes) => fromBinary(GetMapResponseSchema, bytes).part!);
  return parts[0]!.set[0];
}

/** Texts are taken byte by byte, or not at all. */
function assertIn(bytes: Uint8Array, ...texts: readonly string[]): void {
  for (const text of texts) assert.ok(Buffer.from(bytes).includes(text), `"${text}" was never said`);
}

async function fuzzRegister(plane: FuzzedPlane, chance: Chance): Promise<boolean> {
  const good = registration(chance);
  const bytes = chance.oneIn(4) ? good : mutateBytes(chance, good);
  const request = decoded<typeof RegisterRequestSchema>("register", bytes);
  if (request instanceof Undecodable) return false;
  const { id, instance, service } = request as RegisterRequest;
  const read = (await written(plane, registerOrder(request)))?.instances.find((one) => one.id === id);
  if (!read) return false;
  const { host, port, version = 1, weight = 100, zone, hostId, metadata } = instance!;
  assert.deepEqual(
    [read.host, read.port, read.version, read.weight, read.zone, read.hostId, { ...read.metadata }],
    [host, port, version, weight, zone, hostId, { ...metadata }],
  );
  assertIn(bytes, service, id, host, zone, hostId, ...Object.entries(metadata).flat());
  return true;
}

async function fuzzAlias(plane: FuzzedPlane, chance: Chance): Promise<boolean> {
  const good = aliasing(chance);
  const bytes = chance.oneIn(4) ? good : mutateBytes(chance, good);
  const request = decoded<typeof PutAliasRequestSchema>("putAlias", bytes);
  if (request instanceof Undecodable) return false;
  const { alias, route } = request as PutAliasRequest;
  const read = (await written(plane, putAliasOrder(request)))?.aliases.find(({ name }) => name === alias)?.route;
  if (!read) return false;
  const pairs = (one: typeof read) => one.split.map(({ version, share }) => [version, share]).sort();
  assert.deepEqual([read.version, read.stickyHeader, pairs(read)], [
    route!.version,
    route!.stickyHeader,
    pairs(route!),
  ]);
  assertIn(bytes, alias, read.stickyHeader);
  return true;
}

Deno.test("gRPC takes no message that it does not read back exactly, and changes nothing otherwise", async () => {
  let accepted = 0;
  await fuzz(MESSAGES, async (plane, chance) => {
    if (await (chance.oneIn(2) ? fuzzRegister : fuzzAlias)(plane, chance)) accepted++;
  });
  assert.ok(accepted > MESSAGES / 10, `${accepted} of ${MESSAGES} accepted, with PORTOLAN_FUZZ_SEED=${SEED}`);
});

/** What a follower might say, as bytes. */
function anyWord(chance: Chance): Uint8Array {
  const position = { epoch: BigInt(chance.pick([0, 7, 8])), revision: BigInt(chance.below(4)) };
  const scope = {
    realm: chance.oneIn(5) ? anyName(chance) : "local",
    services: chance.oneIn(2) ? [] : [anyName(chance)],
  };
  const follower = { id: anyName(chance), kind: chance.below(5) as Follower_Kind };
  const message = create(WatchRequestSchema, {
    message: chance.pick([
      { case: "subscribe", value: { scope, subscription: chance.below(4), ...(chance.oneIn(2) && { follower }) } },
      { case: "received", value: { position } },
      { case: "applied", value: { position, refused: [{ service: anyName(chance), reason: anyName(chance) }] } },
    ]) as Json,
  });
  const bytes = toBinary(WatchRequestSchema, message);
  return chance.oneIn(3) ? mutateBytes(chance, bytes) : bytes;
}

Deno.test("Watch survives whatever a follower says, and forgets who has gone", async () => {
  const { requestDeserialize } = serviceDefinition(DiscoveryService)["watch"]!;
  await fuzz(WATCHES, async (plane, chance) => {
    const failures: { code: number }[] = [];
    const call = Object.assign(new EventEmitter(), { write: () => true, end: () => {} });
    call.on("error", (error) => failures.push(error));
    const session = new WatchSession(call as unknown as WatchCall, plane.ports);
    for (let times = 1 + chance.below(6); times > 0; times--) {
      call.emit("data", requestDeserialize(Buffer.from(anyWord(chance))));
      if (chance.oneIn(3)) await Promise.resolve();
    }
    for (const { follower } of plane.ports.followers.list("local" as never)) {
      assert.ok(["sidecar", "sdk", "tool"].includes(follower.kind));
    }
    chance.oneIn(2) ? call.emit("cancelled") : session.stop();
    assert.ok(failures.length <= 1 && failures.every(({ code }) => code === 3 || code === 14));
    assert.deepEqual(plane.ports.followers.list("local" as never), []);
  });
});

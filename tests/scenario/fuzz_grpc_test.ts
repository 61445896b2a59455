import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import {
  create,
  type DescMessage,
  fromBinary,
  fromJson,
  type MessageShape,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { anonymous } from "../../control-plane/app/caller.ts";
import type { Realm } from "../../control-plane/domain/names.ts";
import { isRefusal, type Refusal } from "../../control-plane/domain/refusal.ts";
import type { Scope } from "../../control-plane/domain/update.ts";
import {
  deregisterOrder,
  drainOrder,
  type HostOrder,
  type Order,
  putAliasOrder,
  putServiceOrder,
  registerOrder,
  setEnabledOrder,
} from "../../control-plane/transport/decode_registry.ts";
import { encodeUpdate } from "../../control-plane/transport/encode.ts";
import { execute } from "../../control-plane/transport/orders.ts";
import { importHandler } from "../../control-plane/transport/grpc_import.ts";
import { renewHandler } from "../../control-plane/transport/grpc_renew.ts";
import { grpcStatus } from "../../control-plane/transport/status.ts";
import { serviceDefinition, Undecodable } from "../../proto/grpc.ts";
import { GetMapResponseSchema } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { RouteSchema, type Service, ServiceSpecSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import * as pb from "../../proto/gen/portolan/v1/registry_pb.ts";
import { anyName, Chance, mutateBytes } from "./fuzz.ts";
import { expectedSpec, INSTANCES, type Json, ROUTES, SPECS } from "./fuzz_expected.ts";
import { assertMany, fuzz, type FuzzedPlane } from "./fuzzed_plane.ts";

const MESSAGES = 20_000;
const STREAMS = 3_000;

const requests = serviceDefinition(pb.RegistryService);

/** A request as its bytes were decoded, or why not. */
function decoded<M extends DescMessage>(method: string, bytes: Uint8Array): MessageShape<M> | Undecodable {
  return requests[method]!.requestDeserialize(Buffer.from(bytes)) as MessageShape<M> | Undecodable;
}

/** The bytes of a message, spoilt more often than not. */
function spoilt<M extends DescMessage>(chance: Chance, schema: M, message: MessageShape<M>): Uint8Array {
  const good = toBinary(schema, message);
  return chance.oneIn(4) ? good : mutateBytes(chance, good);
}

function target(chance: Chance) {
  return { realm: "local", service: chance.oneIn(3) ? anyName(chance) : "a" };
}

function instanceSpec(chance: Chance): pb.InstanceSpec {
  const spec = fromJson(pb.InstanceSpecSchema, chance.pick(INSTANCES));
  if (chance.oneIn(4)) spec.metadata = Object.fromEntries([[anyName(chance), anyName(chance)]]);
  return spec;
}

/** Does what a handler does with an order; what the map has then is as it goes over the wire. */
async function written(plane: FuzzedPlane, order: Order | HostOrder | Refusal): Promise<Service | undefined> {
  const before = plane.map();
  const outcome = isRefusal(order) ? order : await execute(plane.ports, order);
  if (isRefusal(outcome)) {
    assert.ok([3, 5, 8, 9].includes(grpcStatus(outcome).code), outcome.message);
    assert.equal(plane.map(), before);
    return undefined;
  }
  if (isRefusal(order) || order.kind === "host") return undefined;
  const { realm, service } = order.command;
  const [read] = await services(plane, { realm, services: new Set([service]) });
  return read;
}

/** Services as they go over the wire. */
async function services({ ports }: FuzzedPlane, scope: Scope): Promise<Service[]> {
  const update = await ports.reading.read(anonymous(), scope);
  assert.ok(!isRefusal(update));
  return encodeUpdate(update, 0).flatMap((bytes) => fromBinary(GetMapResponseSchema, bytes).part!.set);
}

/** Texts are taken byte by byte, or not at all. */
function assertIn(bytes: Uint8Array, ...texts: readonly string[]): void {
  for (const text of texts) assert.ok(Buffer.from(bytes).includes(text), `"${text}" was never said`);
}

async function fuzzRegister(plane: FuzzedPlane, chance: Chance): Promise<boolean> {
  const options = { reason: chance.oneIn(9) ? anyName(chance) : "" };
  const said = { ...target(chance), id: "i", instance: instanceSpec(chance), options };
  const bytes = spoilt(chance, pb.RegisterRequestSchema, create(pb.RegisterRequestSchema, said));
  const request = decoded<typeof pb.RegisterRequestSchema>("register", bytes);
  if (request instanceof Undecodable) return false;
  const { id, instance, service } = request as pb.RegisterRequest;
  const read = (await written(plane, registerOrder(request)))?.instances.find((one) => one.id === id);
  if (!read) return false;
  const { host, port, version = 1, weight = 100, zone, hostId, metadata, ttl } = instance!;
  assert.deepEqual(
    [read.host, read.port, read.version, read.weight, read.zone, read.hostId, { ...read.metadata }],
    [host, port, version, weight, zone, hostId, { ...metadata }],
  );
  assert.deepEqual([read.ttl?.seconds, read.ttl?.nanos], [ttl?.seconds, ttl?.nanos]);
  assertIn(bytes, service, id, host, zone, hostId, ...Object.entries(metadata).flat());
  return true;
}

async function fuzzAlias(plane: FuzzedPlane, chance: Chance): Promise<boolean> {
  const said = { ...target(chance), alias: chance.oneIn(4) ? anyName(chance) : "live" };
  const route = fromJson(RouteSchema, chance.pick(ROUTES));
  const bytes = spoilt(chance, pb.PutAliasRequestSchema, create(pb.PutAliasRequestSchema, { ...said, route }));
  const request = decoded<typeof pb.PutAliasRequestSchema>("putAlias", bytes);
  if (request instanceof Undecodable) return false;
  const { alias, route: wanted } = request as pb.PutAliasRequest;
  const read = (await written(plane, putAliasOrder(request)))?.aliases.find(({ name }) => name === alias)?.route;
  if (!read) return false;
  const pairs = (one: typeof read) => one.split.map(({ version, share }) => [version, share]).sort();
  assert.deepEqual([read.version, read.stickyHeader, pairs(read)], [
    wanted!.version,
    wanted!.stickyHeader,
    pairs(wanted!),
  ]);
  assertIn(bytes, alias, read.stickyHeader);
  return true;
}

async function fuzzService(plane: FuzzedPlane, chance: Chance): Promise<boolean> {
  const spec = fromJson(ServiceSpecSchema, chance.pick(SPECS));
  const said = create(pb.PutServiceRequestSchema, { ...target(chance), spec });
  const request = decoded<typeof pb.PutServiceRequestSchema>(
    "putService",
    spoilt(chance, pb.PutServiceRequestSchema, said),
  );
  if (request instanceof Undecodable) return false;
  const wanted = (request as pb.PutServiceRequest).spec;
  const read = await written(plane, putServiceOrder(request));
  if (!read) return false;
  const json = read.spec && toJson(ServiceSpecSchema, read.spec, { alwaysEmitImplicit: true });
  assert.deepEqual(json, expectedSpec(wanted ? toJson(ServiceSpecSchema, wanted) : {}));
  return true;
}

async function fuzzSwitch(plane: FuzzedPlane, chance: Chance): Promise<boolean> {
  const who: Json = chance.pick([{ id: "i" }, {}, { service: "", hostId: chance.oneIn(2) ? "h-1" : anyName(chance) }]);
  const said = { realm: "local", service: "a", ...who };
  const [method, schema, orderOf] = chance.pick(
    [
      ["drain", pb.DrainRequestSchema, drainOrder],
      ["setEnabled", pb.SetEnabledRequestSchema, setEnabledOrder],
      ["deregister", pb.DeregisterRequestSchema, deregisterOrder],
    ] as const,
  ) as [string, DescMessage, (request: object) => Order | HostOrder | Refusal];
  const request = decoded(method, spoilt(chance, schema, create(schema, said)));
  if (request instanceof Undecodable) return false;
  const order = orderOf(request);
  await written(plane, order);
  return !isRefusal(order);
}

Deno.test("gRPC takes no message that it does not read back exactly, and changes nothing otherwise", async () => {
  let accepted = 0;
  await fuzz(MESSAGES, async (plane, chance) => {
    if (await chance.pick([fuzzRegister, fuzzAlias, fuzzService, fuzzSwitch])(plane, chance)) accepted++;
  });
  assertMany(accepted, MESSAGES);
});

Deno.test("Renew answers or refuses whatever beats come, and writes only what a holder says of its own", async () => {
  let alive = 0;
  await fuzz(STREAMS, async (plane, chance) => {
    const at = { realm: "local", service: "a", id: "i" };
    const instance = fromJson(pb.InstanceSpecSchema, { host: "a", port: 1, ttl: "15s" });
    const order = registerOrder(create(pb.RegisterRequestSchema, { ...at, instance }));
    assert.ok(!isRefusal(order));
    const registered = await execute(plane.ports, order);
    const leaseId = isRefusal(registered) ? "" : registered.lease!;
    const call = new EventEmitter();
    const ended = new Promise<string>((resolve) => {
      call.on("error", ({ code }) => resolve(String(code)));
      Object.assign(call, { cancelled: false, getPeer: () => "fuzz:1", end: () => resolve("OK") });
    });
    Object.assign(call, { write: (answer: { alive: boolean }) => answer.alive && alive++ });
    renewHandler(plane.ports, new Set())(call as never);
    for (let times = 1 + chance.below(3); times > 0; times--) {
      const status = { ...at, id: chance.oneIn(4) ? anyName(chance) : "i", status: chance.below(5) };
      const beat = create(pb.RenewRequestSchema, { leaseId, statuses: chance.oneIn(2) ? [status] : [] });
      call.emit("data", decoded("renew", spoilt(chance, pb.RenewRequestSchema, beat)));
    }
    call.emit("end");
    assert.ok(["OK", "3"].includes(await ended), await ended);
    const [service, ...others] = await services(plane, { realm: "local" as Realm });
    assert.deepEqual([service?.name, service?.instances.map(({ id }) => id), others], ["a", ["i"], []]);
  });
  assertMany(alive, STREAMS);
});

Deno.test("Import makes a realm what the pieces say, or leaves it as it is", async () => {
  let imported = 0;
  await fuzz(STREAMS, async (plane, chance) => {
    const names = chance.oneIn(3) ? ["b"] : ["a", chance.oneIn(3) ? anyName(chance) : "c"];
    const pieces = names.map((name): Json => ({
      name,
      enabled: chance.oneIn(2),
      spec: chance.pick(SPECS),
      instances: chance.oneIn(2) ? [] : [{ id: anyName(chance), version: 1, ...chance.pick(INSTANCES) }],
      aliases: [{ name: chance.oneIn(3) ? anyName(chance) : "live", route: chance.pick(ROUTES) }],
    }));
    const messages = [{ realm: "local", force: true }, ...pieces.map((service) => ({ services: [service] }))];
    // One of them at most: all of them are wanted.
    const bad = chance.below(messages.length + 1);
    const decodedMessages = messages.map((message, i) => {
      const request = fromJson(pb.ImportRequestSchema, message);
      const bytes = i === bad
        ? spoilt(chance, pb.ImportRequestSchema, request)
        : toBinary(pb.ImportRequestSchema, request);
      return decoded<typeof pb.ImportRequestSchema>("import", bytes);
    });
    const before = plane.map();
    const code = await importAll(plane, decodedMessages);
    if (code !== undefined) {
      assert.ok([3, 8, 9].includes(code), String(code));
      return assert.equal(plane.map(), before);
    }
    imported++;
    const [first, ...later] = decodedMessages as pb.ImportRequest[];
    const said = [...first!.services, ...later.flatMap(({ services }) => services)];
    const read = await services(plane, { realm: first!.realm as Realm });
    assert.deepEqual(summary(read), summary(said));
  });
  assertMany(imported, STREAMS);
});

/** Answers with the code of the refusal, if it was refused. */
function importAll({ ports }: FuzzedPlane, messages: readonly unknown[]): Promise<number | undefined> {
  const stream = (async function* () {
    yield* messages;
  })();
  const call = Object.assign(stream, { cancelled: false, getPeer: () => "fuzz:1" });
  return new Promise((resolve) =>
    importHandler(ports)(call as never, (error) => resolve(error ? Number(error.code) : undefined))
  );
}

function summary(services: readonly Service[]) {
  return services.map(({ name, enabled, instances, aliases }) => ({
    name,
    enabled,
    instances: instances.map(({ id, host, port, enabled, draining }) => ({ id, host, port, enabled, draining })),
    aliases: aliases.map(({ name }) => name),
  })).sort((a, b) => a.name < b.name ? -1 : 1);
}

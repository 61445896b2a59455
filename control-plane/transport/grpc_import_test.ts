import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { ImportRequestSchema } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { importHandler } from "./grpc_import.ts";
import { refusalOf, testControlPlane, type TestPlane, testPorts, until } from "./testing.ts";

type Request = MessageInitShape<typeof ImportRequestSchema>;

const service = (name: string, ...ids: string[]) => ({
  name,
  enabled: true,
  instances: ids.map((id) => ({ id, host: "a", port: 1, version: 1, weight: 100, enabled: true })),
});

function imports({ registry }: TestPlane, ...requests: Request[]) {
  const { stream, response } = registry.import();
  for (const request of requests) stream.write(request);
  stream.end();
  return response;
}

const services = async (plane: TestPlane) =>
  (await plane.http("GET", "/services")).json.services.map((one: { name: string; instances: { id: string }[] }) =>
    [one.name, ...one.instances.map(({ id }) => id)].join()
  );

Deno.test("Import makes the realm what the pieces say, and begins a new epoch", async () => {
  await using plane = await testControlPlane();
  await plane.register("gone");
  await plane.register("a", "i1");
  const { epoch } = plane.ports.reading.position();
  const answer = await imports(
    plane,
    { realm: "local", force: true, options: { reason: "moving house" } },
    { services: [service("a", "i1", "i2")] },
    { services: [service("b", "i1"), service("empty")] },
  );
  assert.deepEqual([answer.services, answer.removed], [3, 1]);
  assert.ok(answer.position!.epoch > epoch);
  assert.deepEqual(await services(plane), ["a,i1,i2", "b,i1", "empty"]);
  const { json } = await plane.http("GET", "/history?service=b");
  assert.deepEqual(
    json.entries.map(({ operation, reason }: { operation: string; reason: string }) => [
      operation,
      reason,
    ]),
    [["import", "moving house"]],
  );
});

Deno.test("Import names what is wrong, wherever it stands, and writes nothing then", async () => {
  await using plane = await testControlPlane();
  await plane.register("a", "i1");
  const first = { realm: "local", force: true };
  const cases: [Request[], ...fields: string[]][] = [
    [[], "realm"],
    [[{}], "realm"],
    [[{ realm: "Local" }], "realm"],
    [[{ ...first, options: { expectedRevision: 1n } }], "expectedRevision"],
    [[{ ...first, options: { operationId: "once" } }], "operationId"],
    [[first, { services: [service("b"), service("B")] }], "services[1].name"],
    [
      [first, { services: [service("b")] }, { services: [service("c"), service("d", "i", "I")] }],
      "services[2].instances[1].id",
    ],
    [[first, { services: [service("b")] }, { services: [service("b")] }], "services[1].name"],
    [[first, { services: [service("b", "i", "i")] }], "services[0].instances[1].id"],
  ];
  const before = await plane.http("GET", "/map");
  for (const [requests, ...fields] of cases) {
    const { code, fields: named, details } = await refusalOf(imports(plane, ...requests));
    assert.deepEqual([code, named], ["INVALID_ARGUMENT", fields], details);
  }
  for (const again of [{ realm: "local" }, { force: true }, { options: { reason: "again" } }]) {
    const { code, details } = await refusalOf(imports(plane, first, { ...again, services: [service("b")] }));
    assert.equal(code, "INVALID_ARGUMENT");
    assert.match(details, /first message only/);
  }
  assert.equal((await plane.http("GET", "/map")).text, before.text);
});

Deno.test("Import takes no more than it can hold, and says so before all of it came", async () => {
  await using plane = await testControlPlane();
  const { stream, response } = plane.registry.import();
  const refused = refusalOf(response);
  let ended = false;
  refused.then(() => ended = true);
  // 250 services in a message: it would take 400 messages.
  for (let piece = 0; !ended && piece < 500; piece++) {
    const services = Array.from({ length: 250 }, (_, i) => service(`s${piece}-${i}`));
    await new Promise((resolve) => stream.write(piece === 0 ? { realm: "local", services } : { services }, resolve));
  }
  const { code, fields } = await refused;
  assert.deepEqual([code, fields], ["RESOURCE_EXHAUSTED", ["services"]]);
  assert.deepEqual(await services(plane), []);
});

Deno.test("Import that would take too much away is refused unless forced", async () => {
  await using plane = await testControlPlane();
  for (const id of ["i1", "i2", "i3"]) await plane.register("a", id);
  const before = await plane.http("GET", "/map");
  const lossy = { realm: "local", services: [service("a", "i1", "i2")] };
  assert.equal((await refusalOf(imports(plane, lossy))).code, "FAILED_PRECONDITION");
  assert.equal((await plane.http("GET", "/map")).text, before.text);
  await imports(plane, { ...lossy, force: true });
  assert.deepEqual(await services(plane), ["a,i1,i2"]);
});

Deno.test("Import that breaks off half way writes nothing, forced or not", async () => {
  await using plane = await testControlPlane();
  await plane.register("a", "i1");
  const before = await plane.http("GET", "/map");
  const ended = new AbortController();
  const { stream, response } = plane.registry.import({ signal: ended.signal });
  stream.write({ realm: "local", force: true, services: [service("b", "i1")] });
  // Asked on the same connection: it is answered after the piece has come.
  await plane.registry.releaseHeld({ realm: "local" });
  assert.equal(plane.requests.taken, 1);
  ended.abort();
  assert.equal((await refusalOf(response)).code, "CANCELLED");
  await until("the import is over", () => plane.requests.taken === 0);
  assert.equal((await plane.http("GET", "/map")).text, before.text);
});

/** An import whose messages are written one by one, from an address of its own. */
function importing(handler: ReturnType<typeof importHandler>, address: string) {
  const call = Object.assign(new PassThrough({ objectMode: true }), {
    metadata: new Metadata(),
    cancelled: false,
    getPeer: () => `${address}:1`,
  });
  const outcome = new Promise<string>((resolve) => {
    handler(call as never, (error) => {
      const { code, details } = error as ServiceError ?? { code: status.OK };
      resolve(code === status.OK ? "OK" : `${status[code]} ${details}`);
    });
  });
  const write = (request: object) => void call.write(Object.assign(create(ImportRequestSchema), request));
  return { call, outcome, write };
}

Deno.test("Import is for one at a time from an address, and for a few from all", async () => {
  await using plane = await testPorts();
  const handler = importHandler(plane.ports);
  const some = ["a", "b", "c"].map((address) => importing(handler, address));
  const refused = (who: string, count: number) =>
    `RESOURCE_EXHAUSTED Cannot take more imports from "${who}": ${count} are under way; try again later`;
  assert.equal(await importing(handler, "a").outcome, refused("a", 1));
  assert.equal(await importing(handler, "d").outcome, refused("all addresses", 3));
  for (const { call, outcome, write } of some) {
    write({ realm: "local" });
    call.end();
    assert.equal(await outcome, "OK");
  }
  for (const address of ["a", "d"]) {
    const again = importing(handler, address);
    again.call.end();
    assert.match(await again.outcome, /^INVALID_ARGUMENT/, "its place is free again, and nobody else's is taken");
  }
});

Deno.test("Import that stands still ends, and leaves its place", async () => {
  await using plane = await testPorts();
  const handler = importHandler(plane.ports, 5);
  for (let again = 0; again < 4; again++) {
    const { outcome, write } = importing(handler, "a");
    if (again > 0) write({ realm: "local" });
    assert.equal(await outcome, "DEADLINE_EXCEEDED Cannot wait for the rest of the import: it comes too slowly");
  }
});

Deno.test("Import of a realm waits for another one of it", async () => {
  await using plane = await testPorts();
  const order: string[] = [];
  const { promise: told, resolve: goOn } = Promise.withResolvers<void>();
  const handler = importHandler({
    ...plane.ports,
    importRealm: async (caller, realm, services, force) => {
      order.push(`${caller.reason} begins`);
      if (caller.reason === "first") await told;
      const outcome = await plane.ports.importRealm(caller, realm, services, force);
      order.push(`${caller.reason} ends`);
      return outcome;
    },
  });
  const begin = (reason: string, realm: string) => {
    const one = importing(handler, reason);
    one.write({ realm, options: { reason, operationId: "" } });
    one.call.end();
    return one.outcome;
  };
  const first = begin("first", "local");
  await until("it is under way", () => order.length === 1);
  const second = begin("second", "local");
  assert.equal(await begin("elsewhere", "testing"), "OK");
  goOn();
  assert.deepEqual(await Promise.all([first, second]), ["OK", "OK"]);
  const expected = ["first begins", "elsewhere begins", "elsewhere ends", "first ends", "second begins", "second ends"];
  assert.deepEqual(order, expected);
});

Deno.test("Import refuses fields of a later contract in every message", async () => {
  await using plane = await testPorts();
  const handler = importHandler(plane.ports);
  const $unknown = [{ no: 99, wireType: 0, data: new Uint8Array([1]) }];
  for (const messages of [[{ realm: "local", $unknown }], [{ realm: "local" }, { $unknown }]]) {
    const { call, outcome, write } = importing(handler, "a");
    for (const message of messages) write(message);
    call.end();
    assert.equal(await outcome, "INVALID_ARGUMENT 99: unknown field");
  }
});

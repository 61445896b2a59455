import { fromBinary, type JsonValue } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import assert from "node:assert/strict";
import { once } from "node:events";
import { StatusSchema } from "../../proto/gen/google/rpc/status_pb.ts";
import { startedControlPlane } from "./control_plane.ts";
import { type ReflectedClient, reflectedClient, reflectedFiles, registryOf } from "./reflected_client.ts";

const SERVICES = {
  "grpc.health.v1.Health": ["Check", "List", "Watch"],
  "portolan.v1.DiscoveryService": ["GetMap", "Watch"],
  "portolan.v1.FleetService": ["ForgetFollower", "History", "ListFollowers", "WaitForRevision"],
  "portolan.v1.RegistryService": [
    ...["DeleteAlias", "DeleteService", "Deregister", "Drain", "Import", "PutAlias", "PutService", "Register"],
    ...["ReleaseHeld", "Renew", "SetEnabled"],
  ],
};

// Answers hold what the server's descriptors say; no types of ours are used here.
// deno-lint-ignore no-explicit-any -- the shape comes from the server
type Message = any;

/** Calls by names alone, like a tool's command line. */
async function tool(client: ReflectedClient) {
  const { files } = await reflectedFiles(client, "google.rpc.BadRequest");
  const known = registryOf(files);
  const open = (service: string, method: string) => {
    const described = known.getService(service)?.methods.find(({ name }) => name === method);
    assert.ok(described, `${service}/${method}`);
    return client.open(described);
  };
  return {
    known,
    open,
    async call(service: string, method: string, request: JsonValue): Promise<Message[]> {
      const call = open(service, method);
      call.write(request);
      call.end();
      const answers: Message[] = [];
      for await (const answer of call) answers.push(answer);
      return answers;
    },
  };
}

Deno.test("reflection lists every service, and describes each with all that it depends on", async () => {
  await using plane = await startedControlPlane();
  for (const version of ["v1", "v1alpha"] as const) {
    using client = reflectedClient(plane.grpc, version);
    const { services, files } = await reflectedFiles(client, "google.rpc.BadRequest");
    assert.deepEqual(services, Object.keys(SERVICES));
    for (const name of files.keys()) {
      const { file_descriptor_response: byName } = await client.ask({ file_by_filename: name });
      assert.ok((byName?.file_descriptor_proto.length ?? 0) > 0, name);
    }
    const registry = registryOf(files);
    for (const [service, methods] of Object.entries(SERVICES)) {
      assert.deepEqual(registry.getService(service)?.methods.map(({ name }) => name).sort(), methods);
    }
    assert.ok(registry.getMessage("google.rpc.BadRequest"));
    assert.equal((await client.ask({ file_containing_symbol: "portolan.v1.Nothing" })).error_response?.error_code, 5);
  }
});

Deno.test("reflection names map entries as protoc does: grpcurl takes no others", async () => {
  await using plane = await startedControlPlane();
  using client = reflectedClient(plane.grpc);
  const { files } = await reflectedFiles(client);
  const maps = [...files.values()].flatMap(({ messageType }) => messageType).flatMap(({ field, nestedType }) =>
    nestedType.filter(({ options }) => options?.mapEntry).map(({ name }) => ({
      name,
      field: field.find(({ typeName }) => typeName.split(".").at(-1) === name)?.name,
    }))
  );
  assert.ok(maps.length >= 3, "metadata twice, and health's list");
  for (const { name, field } of maps) {
    assert.equal(name.toLowerCase(), `${field?.replaceAll("_", "")}entry`);
    assert.match(name, /^[A-Z][A-Za-z]*Entry$/);
  }
});

Deno.test("a client made from reflection alone registers, reads the map and follows it", async () => {
  await using plane = await startedControlPlane();
  using client = reflectedClient(plane.grpc);
  const { call, open } = await tool(client);
  const scope = { realm: "local" };
  const register = (id: string) =>
    call("portolan.v1.RegistryService", "Register", {
      realm: "local",
      service: "identity",
      id,
      instance: { host: "127.0.0.1", port: 8080, metadata: { a: "b" } },
    });
  const [{ revision }] = await register("i1");
  const [{ part }] = await call("portolan.v1.DiscoveryService", "GetMap", { scope, minRevision: revision });
  assert.deepEqual([part.position.revision, part.complete, part.last], [revision, true, true]);
  const [instance] = part.set[0].instances;
  assert.deepEqual([instance.id, instance.version, instance.weight, instance.status], ["i1", 1, 100, "UNKNOWN"]);
  assert.deepEqual(instance.metadata, { a: "b" });

  const watch = open("portolan.v1.DiscoveryService", "Watch");
  const parts = watch[Symbol.asyncIterator]();
  const next = async (): Promise<Message> => (await parts.next()).value.part;
  watch.write({ subscribe: { scope, subscription: 1, follower: { id: "tool", kind: "TOOL", program: "stock/1" } } });
  const first = await next();
  assert.deepEqual([first.position.revision, first.set.length], [revision, 1]);
  watch.write({ received: { position: first.position } });
  watch.write({ applied: { position: first.position, refused: [{ service: "identity", reason: "no reason" }] } });
  await register("i2");
  const second = await next();
  assert.deepEqual(second.set[0].instances.map(({ id }: Message) => id), ["i1", "i2"]);
  const [{ followers }] = await call("portolan.v1.FleetService", "ListFollowers", { realm: "local" });
  assert.deepEqual([followers[0].follower.id, followers[0].applied], ["tool", first.position]);
  assert.deepEqual(followers[0].refused, [{ service: "identity", reason: "no reason" }]);
  watch.end();
  assert.equal((await parts.next()).done, true);
});

Deno.test("a client made from reflection alone keeps a lease, imports a realm and reads its history", async () => {
  await using plane = await startedControlPlane();
  using client = reflectedClient(plane.grpc);
  const { call, open } = await tool(client);
  const registry = "portolan.v1.RegistryService";
  const instance = { host: "127.0.0.1", port: 8080, ttl: "15s" };
  const [{ leaseId }] = await call(registry, "Register", { realm: "local", service: "identity", id: "i1", instance });
  const statuses = [{ realm: "local", service: "identity", id: "i1", status: "PASSING" }];
  const [beat] = await call(registry, "Renew", { leaseId, statuses });
  const [{ part }] = await call("portolan.v1.DiscoveryService", "GetMap", { scope: { realm: "local" } });
  assert.deepEqual(beat, { leaseId, alive: true, epoch: part.position.epoch });
  const [identity] = part.set;
  assert.deepEqual([identity.instances[0].status, identity.instances[0].ttl], ["PASSING", "15s"]);

  const upload = open(registry, "Import");
  upload.write({ realm: "testing", options: { reason: "moving house" } });
  // As it was read: what an import does not take over is in it.
  upload.write({ services: [identity, { ...identity, name: "other" }] });
  upload.end();
  const answers: Message[] = [];
  for await (const answer of upload) answers.push(answer);
  assert.deepEqual([answers.length, answers[0].services, answers[0].removed], [1, 2, 0]);
  const history = await call("portolan.v1.FleetService", "History", { realm: "testing" });
  assert.deepEqual(history.map(({ operation, reason, after }) => [operation, reason, after.name]), [
    ["import", "moving house", "identity"],
    ["import", "moving house", "other"],
  ]);
  const [{ verdict }] = await call("portolan.v1.FleetService", "WaitForRevision", { realm: "testing" });
  assert.equal(verdict, "DONE");
});

Deno.test("a client made from reflection alone reads which field was refused", async () => {
  await using plane = await startedControlPlane();
  using client = reflectedClient(plane.grpc);
  const { call, known } = await tool(client);
  const refused = await call("portolan.v1.RegistryService", "Register", { realm: "Local" }).catch((error) => error);
  assert.equal(refused.code, grpc.status.INVALID_ARGUMENT);
  const { details } = fromBinary(StatusSchema, refused.metadata.get("grpc-status-details-bin")[0]);
  const badRequest: Message = anyUnpack(details[0]!, known);
  assert.deepEqual(badRequest.fieldViolations.map(({ field }: Message) => field), [
    "realm",
    "service",
    "id",
    "instance",
    "host",
    "port",
  ]);
});

Deno.test("health says of the server and of each service that it serves, until it stops", async () => {
  await using plane = await startedControlPlane();
  using client = reflectedClient(plane.grpc);
  const { call, open } = await tool(client);
  const health = "grpc.health.v1.Health";
  for (
    const service of ["", "portolan.v1.DiscoveryService", "portolan.v1.FleetService", "portolan.v1.RegistryService"]
  ) {
    assert.deepEqual(await call(health, "Check", { service }), [{ status: "SERVING" }]);
  }
  const unknown = await call(health, "Check", { service: "nope" }).catch((error) => error);
  assert.equal(unknown.code, grpc.status.NOT_FOUND);

  const watch = open(health, "Watch");
  const statuses = watch[Symbol.asyncIterator]() as AsyncIterator<Message>;
  watch.write({ service: "" });
  watch.end();
  assert.equal((await statuses.next()).value.status, "SERVING");
  const strange = open(health, "Watch");
  strange.write({ service: "nope" });
  strange.end();
  const [{ status }] = await once(strange, "data");
  assert.equal(status, "SERVICE_UNKNOWN");
  strange.on("error", () => {}).cancel();
  const stopped = plane.stop();
  assert.equal((await statuses.next()).value.status, "NOT_SERVING");
  watch.on("error", () => {}).cancel();
  await stopped;
});

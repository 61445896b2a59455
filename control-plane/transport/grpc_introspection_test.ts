import assert from "node:assert/strict";
import { createClient } from "../../proto/grpc.ts";
import { formatAddress } from "../../proto/settings.ts";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../proto/gen/grpc/health/v1/health_pb.ts";
import { RegistryService } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { serveGrpc } from "./grpc.ts";
import { testPorts } from "./testing.ts";

Deno.test("health says what readyz says, of the server and of each service, to those who ask and those who watch", async () => {
  await using parts = await testPorts();
  let problems: readonly string[] = ["the map does not follow the store"];
  parts.ports.reading.problems = () => problems;
  await using server = await serveGrpc(parts.ports, { host: "127.0.0.1", port: 0 });
  const client = createClient(Health, formatAddress(server.address));
  const services = ["", RegistryService.typeName];
  const check = () => Promise.all(services.map(async (service) => (await client.check({ service })).status));
  const watch = client.watch({ service: "" });
  watch.on("error", () => {});
  const heard = watch[Symbol.asyncIterator]();
  const next = async () => (await heard.next()).value?.status;
  try {
    assert.deepEqual([await next(), ...await check()], Array(3).fill(Status.NOT_SERVING));
    problems = [];
    assert.deepEqual([await next(), ...await check()], Array(3).fill(Status.SERVING));
    problems = ["the map does not follow the store"];
    assert.deepEqual([await next(), ...await check()], Array(3).fill(Status.NOT_SERVING));
  } finally {
    watch.cancel();
    client.close();
  }
});

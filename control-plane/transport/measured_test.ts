import assert from "node:assert/strict";
import { once } from "node:events";
import type { DescService } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { Hono } from "hono";
import { createClient, serviceDefinition } from "../../proto/grpc.ts";
import { DiscoveryService } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { RegistryService } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { SILENT } from "../../proto/log.ts";
import { Exposition } from "../../proto/testing/exposition.ts";
import type { Telemetry } from "../app/telemetry.ts";
import { openTelemetry } from "../telemetry.ts";
import { VERB } from "./http_common.ts";
import { measuredGrpc, measuredHttp } from "./measured.ts";

Deno.test("measuredGrpc() counts calls of every kind by how they end, once", async () => {
  await using telemetry = await openTelemetry({}, SILENT);
  const got = Promise.withResolvers<void>();
  const registryHandlers: Handlers = {
    register: (_, callback) => callback(null, {}),
    deregister: (_, callback) => callback({ code: grpc.status.NOT_FOUND }),
    setEnabled: (_, callback) => callback(new Error("without a code")),
    // Who is never answered gives up.
    drain: () => got.resolve(),
    import: (call, callback) => call.once("data", () => callback(null, {})),
  };
  const discoveryHandlers: Handlers = {
    getMap: (call) => call.emit("error", { code: grpc.status.RESOURCE_EXHAUSTED }),
    watch: (call) => call.once("data", () => call.end()),
  };
  const services: Services = [[RegistryService, registryHandlers], [DiscoveryService, discoveryHandlers]];
  await using server = await serve(telemetry, services);
  const registry = createClient(RegistryService, server.address);
  const discovery = createClient(DiscoveryService, server.address);

  await registry.register({});
  await registry.register({});
  await assert.rejects(registry.deregister({}), { code: grpc.status.NOT_FOUND });
  await assert.rejects(registry.setEnabled({}), { code: grpc.status.UNKNOWN });
  const gaveUp = new AbortController();
  const drain = registry.drain({}, { signal: gaveUp.signal });
  await got.promise;
  gaveUp.abort();
  await assert.rejects(drain, { code: grpc.status.CANCELLED });
  const upload = registry.import();
  upload.stream.write({});
  upload.stream.end();
  await upload.response;
  await assert.rejects(once(discovery.getMap({}), "end"), { code: grpc.status.RESOURCE_EXHAUSTED });
  const watch = discovery.watch();
  watch.resume();
  watch.write({});
  await once(watch, "end");
  registry.close();
  discovery.close();
  await server[Symbol.asyncDispose]();

  const counted = new Exposition(telemetry.text()).all("portolan_grpc_requests_total")
    .map(({ labels: { method, code }, value }) => `${method} ${code} ${value}`).sort();
  assert.deepEqual(counted, [
    "portolan.v1.DiscoveryService/GetMap RESOURCE_EXHAUSTED 1",
    "portolan.v1.DiscoveryService/Watch OK 1",
    "portolan.v1.RegistryService/Deregister NOT_FOUND 1",
    "portolan.v1.RegistryService/Drain CANCELLED 1",
    "portolan.v1.RegistryService/Import OK 1",
    "portolan.v1.RegistryService/Register OK 2",
    "portolan.v1.RegistryService/SetEnabled UNKNOWN 1",
  ]);
});

Deno.test("measuredHttp() counts requests by the route that answered; what clients make up counts as one", async () => {
  await using telemetry = await openTelemetry({}, SILENT);
  const app = new Hono();
  app.use(measuredHttp(telemetry));
  app.use((context, next) => context.req.header("big") ? Promise.resolve(context.text("", 413)) : next());
  app.get("/realms/:realm", (context) => context.text("ok"));
  app.all("/realms/:realm", (context) => context.text("", 405));
  app.post(`/things/:id${VERB}:verb`, (context) => context.text("", 202));
  app.get("/broken", () => {
    throw new Error("a bug");
  });
  app.onError((_, context) => context.text("", 500));
  const ask = async (method: string, path: string, headers = {}) => {
    await app.request(`http://localhost${path}`, { method, headers });
  };
  await ask("GET", "/realms/one?x=1");
  await ask("GET", "/realms/two");
  await ask("HEAD", "/realms/two");
  await ask("PUT", "/realms/two");
  await ask("BREW", "/realms/two");
  await ask("STEEP", "/realms/two");
  await ask("GET", "/realms/two", { big: "1" });
  await ask("POST", "/things/a/ drain");
  await ask("GET", "/broken");
  await ask("GET", "/nowhere/1");
  await ask("GET", "/nowhere/2");
  const counted = new Exposition(telemetry.text()).all("portolan_http_requests_total")
    .map(({ labels: { method, route, code }, value }) => `${method} ${route} ${code} ${value}`).sort();
  assert.deepEqual(counted, [
    "GET  404 2",
    "GET  413 1",
    "GET /broken 500 1",
    "GET /realms/:realm 200 2",
    "HEAD /realms/:realm 200 1",
    "POST /things/:id::verb 202 1",
    "PUT /realms/:realm 405 1",
    "_OTHER /realms/:realm 405 2",
  ]);
});

type Stream = grpc.ServerDuplexStream<object, object>;
type Handlers = Readonly<Record<string, (call: Stream, callback: grpc.sendUnaryData<object>) => unknown>>;
type Services = readonly (readonly [DescService, Handlers])[];

async function serve(telemetry: Telemetry, services: Services) {
  const server = new grpc.Server();
  for (const [service, handlers] of services) {
    const untyped = handlers as grpc.UntypedServiceImplementation;
    server.addService(serviceDefinition(service), measuredGrpc(telemetry, service, untyped));
  }
  const credentials = grpc.ServerCredentials.createInsecure();
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", credentials, (error, port) => error ? reject(error) : resolve(port))
  );
  return {
    address: `127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.tryShutdown(() => resolve())),
  };
}

import assert from "node:assert/strict";
import * as grpc from "@grpc/grpc-js";
import { create } from "@bufbuild/protobuf";
import {
  Health,
  HealthCheckResponse_ServingStatus as Serving,
  HealthCheckResponseSchema,
} from "../../proto/gen/grpc/health/v1/health_pb.ts";
import { serviceDefinition } from "../../proto/grpc.ts";
import { DEFAULT_CHECK } from "../../proto/limits.ts";
import type { Check } from "./check.ts";
import { probe } from "./probe.ts";

const NEVER = new AbortController().signal;
const HTTP: Partial<Check> = { kind: "HTTP" };
const GRPC: Partial<Check> = { kind: "GRPC" };

Deno.test("a check of TCP passes where a connection is taken", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const taken = listener.accept();
  assert.equal(await ask({}, port), undefined);
  (await taken).close();
  listener.close();
  assert.match(await ask({}, port) ?? "", /refused/i);
});

Deno.test("a check of HTTP passes with 200 to 399, over connections of its own", async () => {
  const asked: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    const { pathname, search } = new URL(request.url);
    asked.push(`${request.method} ${pathname}${search} ${request.headers.get("connection")}`);
    const status = Number(pathname.slice(1)) || 200;
    return new Response(null, { status, headers: { location: "/500" } });
  });
  const { port } = server.addr;
  assert.equal(await ask({ ...HTTP, path: "/?x=%20" }, port), undefined);
  for (const status of [200, 204, 302, 399]) assert.equal(await ask({ ...HTTP, path: `/${status}` }, port), undefined);
  for (const status of [400, 404, 500, 503]) {
    assert.equal(await ask({ ...HTTP, path: `/${status}` }, port), `status ${status} of GET /${status}`);
  }
  assert.deepEqual([asked[0], asked.length], ["GET /?x=%20 close", 9]);
  await server.shutdown();
  assert.match(await ask(HTTP, port) ?? "", /ECONNREFUSED/);
});

Deno.test("a check of HTTP fails with who speaks something else, and with who ends the connection", async () => {
  for (const said of ["garbage\r\n\r\n", ""]) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const served = (async () => {
      using connection = await listener.accept();
      await connection.write(new TextEncoder().encode(said));
    })();
    assert.match(await ask(HTTP, listener.addr.port) ?? "", /Parse Error|hang up|reset|closed/i);
    await served;
    listener.close();
  }
});

Deno.test("a check of gRPC passes where its health is SERVING", async () => {
  let status = Serving.SERVING;
  const server = new grpc.Server();
  server.addService(serviceDefinition(Health), {
    check: (_: unknown, callback: grpc.sendUnaryData<object>) =>
      callback(null, create(HealthCheckResponseSchema, { status })),
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(
      "127.0.0.1:0",
      grpc.ServerCredentials.createInsecure(),
      (error, port) => error ? reject(error) : resolve(port),
    )
  );
  assert.equal(await ask(GRPC, port), undefined);
  status = Serving.NOT_SERVING;
  assert.equal(await ask(GRPC, port), "grpc.health.v1 says NOT_SERVING");
  server.forceShutdown();
  assert.match(await ask(GRPC, port) ?? "", /ECONNREFUSED/);
});

Deno.test("a check that is not answered in time fails; one that is called off ends at once", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.Conn[] = [];
  const serving = (async () => {
    for await (const connection of listener) connections.push(connection);
  })();
  const { port } = listener.addr;
  for (const kind of ["HTTP", "GRPC"] as const) {
    assert.equal(await ask({ kind, intervalMs: 100 }, port), "no answer within 100 ms", kind);
    const stop = new AbortController();
    const asking = probe({ ...DEFAULT_CHECK, kind, intervalMs: 3_600_000 }, { host: "127.0.0.1", port }, stop.signal);
    stop.abort();
    assert.notEqual(await asking, undefined, kind);
  }
  listener.close();
  await serving;
  for (const connection of connections) connection.close();
});

function ask(check: Partial<Check>, port: number): Promise<string | undefined> {
  return probe({ ...DEFAULT_CHECK, ...check }, { host: "127.0.0.1", port }, NEVER);
}

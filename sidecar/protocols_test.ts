import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { connect, createServer } from "node:http2";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { Metadata, type ServiceDefinition } from "@grpc/grpc-js";
import * as grpc from "@grpc/grpc-js";
import { ServiceSpec_Protocol as Protocol } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { Caller, get } from "./testing/caller.ts";
import { instance, service } from "./testing/maps.ts";
import { freePort, startBackend, startEcho, startRig } from "./testing/rig.ts";

const plain = (bytes: Buffer) => bytes;
const METHODS = Object.fromEntries(["Once", "Many"].map((name) => [name, {
  path: `/echo.Echo/${name}`,
  requestStream: false,
  responseStream: name === "Many",
  requestSerialize: plain,
  requestDeserialize: plain,
  responseSerialize: plain,
  responseDeserialize: plain,
}])) as ServiceDefinition;

/** Says back what it hears, five times if it is asked for many. */
async function startGrpcEcho(): Promise<Disposable & { readonly port: number }> {
  const server = new grpc.Server();
  server.addService(METHODS, {
    Once: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => done(null, call.request),
    Many: (call: grpc.ServerWritableStream<Buffer, Buffer>) => {
      for (let at = 0; at < 5; at++) call.write(Buffer.from(`${call.request}${at}`));
      call.end();
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (e, port) => e ? reject(e) : resolve(port))
  );
  return { port, [Symbol.dispose]: () => server.forceShutdown() };
}

Deno.test("gRPC and plain HTTP/2 are served without TLS, beside HTTP/1.1, on one port", async () => {
  await using stack = new AsyncDisposableStack();
  const { port } = stack.use(await startGrpcEcho());
  const http2 = createServer((request, response) => {
    const body = `${request.httpVersion} ${request.url}`;
    response.setHeader("content-length", body.length);
    response.end(body);
  });
  http2.listen(0, "127.0.0.1");
  await once(http2, "listening");
  stack.defer(() => void http2.close());
  await using one = startBackend("one");
  await using rig = await startRig({ spares: 8 });
  const h2c = { protocol: Protocol.H2C };
  await rig.map.change(
    service("echo", { instances: [instance("i1", { port })], spec: h2c }),
    service("plain", { instances: [instance("i1", { port: (http2.address() as AddressInfo).port })], spec: h2c }),
    service("old", { instances: [instance("i1", { port: one.port })] }),
  );

  const client = new grpc.Client(`127.0.0.1:${rig.port}`, grpc.credentials.createInsecure());
  stack.defer(() => client.close());
  const metadata = new Metadata();
  metadata.set("portolan-service", "echo");
  const answer = await new Promise<Buffer>((resolve, reject) =>
    client.makeUnaryRequest(
      "/echo.Echo/Once",
      plain,
      plain,
      Buffer.from("hello"),
      metadata,
      (error, value) => error ? reject(error) : resolve(value as Buffer),
    )
  );
  assert.equal(`${answer}`, "hello");
  const many: string[] = [];
  const stream = client.makeServerStreamRequest("/echo.Echo/Many", plain, plain, Buffer.from("n"), metadata);
  for await (const value of stream) many.push(`${value}`);
  assert.deepEqual(many, ["n0", "n1", "n2", "n3", "n4"]);

  const session = connect(`http://127.0.0.1:${rig.port}`);
  stack.defer(() => session.destroy());
  const ask = async (name: string) => {
    const request = session.request({ ":path": "/x?y", "portolan-service": name });
    const [headers] = await once(request, "response");
    let body = "";
    for await (const chunk of request) body += chunk;
    return [headers[":status"], body];
  };
  assert.deepEqual(await ask("plain"), [200, "2.0 /x?y"]);
  assert.deepEqual(await ask("old"), [200, "one"], "a caller's HTTP/2 need not be the instance's");
  assert.equal((await get(rig.port, "/z", "Portolan-Service: plain")).body, "2.0 /z");
  assert.equal(rig.reconciler.reloads.count, 0, "what instances speak costs no reload");
});

Deno.test("a WebSocket goes on over a reload, also when its instance leaves", async () => {
  await using one = startBackend("one", (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onmessage = ({ data }) => socket.send(`echo ${data}`);
    return response;
  });
  await using rig = await startRig();
  const instances = [instance("i1", { port: one.port })];
  await rig.map.change(service("identity", { instances }));
  using caller = await Caller.connect(rig.port);
  await caller.send(
    "GET /ws HTTP/1.1\r\nHost: identity.portolan.localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
  );
  assert.equal((await caller.read()).status, 101);
  const say = async (word: string) => {
    const mask = [1, 2, 3, 4];
    const masked = Array.from(word, (character, at) => character.charCodeAt(0) ^ (mask[at % 4] ?? 0));
    await caller.send(String.fromCharCode(0x81, 0x80 | word.length, ...mask, ...masked));
    return (await caller.take(2 + "echo ".length + word.length)).slice(2);
  };
  assert.equal(await say("a"), "echo a");
  await rig.map.change(service("teams", { instances }));
  assert.equal(rig.reconciler.reloads.count, 1);
  assert.equal(await say("b"), "echo b");
  await rig.map.change("identity");
  assert.equal(await say("c"), "echo c");
});

Deno.test("bytes are passed on at a service's own port, to what its callers get who name no version", async () => {
  await using one = startEcho("one");
  await using two = startEcho("two");
  const port = freePort();
  await using rig = await startRig();
  const instances = [instance("i1", { port: one.port }), instance("i2", { port: two.port, version: 2 })];
  const spec = { protocol: Protocol.TCP, localPort: port };
  const greeting = async () => {
    using connection = await Deno.connect({ port });
    const buffer = new Uint8Array(16);
    const count = await connection.read(buffer);
    return new TextDecoder().decode(buffer.subarray(0, count ?? 0));
  };
  await rig.map.change(service("db", { instances, aliases: { live: 1 }, spec }));
  assert.equal(await greeting(), "one");
  using kept = await Deno.connect({ port });
  await kept.read(new Uint8Array(16));
  await rig.map.change(service("db", { instances, aliases: { live: 2 }, spec }));
  assert.equal(await greeting(), "two");
  await kept.write(new TextEncoder().encode("x"));
  assert.equal(await kept.read(new Uint8Array(16)), 1, "a connection stays where it is");
  const { status, body } = await get(rig.port, "/", "Portolan-Service: db");
  assert.equal(status, 400);
  assert.match(body, /served at a port of its own/);
  await rig.map.change(service("db", { instances: [], spec }));
  assert.equal(await greeting(), "", "there is nobody");
  await rig.map.change("db");
  await assert.rejects(greeting(), Deno.errors.ConnectionRefused);
});

Deno.test("at a port of its own a service needs no name, before and after a reload", async () => {
  await using one = startBackend("one");
  const port = freePort();
  await using rig = await startRig();
  const instances = [instance("i1", { port: one.port })];
  await rig.map.change(service("identity", { instances, spec: { localPort: port } }));
  using caller = await Caller.connect(port);
  assert.equal((await caller.get("/", "Portolan-Service: other")).body, "one");
  await rig.map.change(service("teams", { instances }));
  assert.equal((await caller.get("/")).body, "one", "an old worker passes on what it knew by its port");
  assert.equal(one.requests.at(-1)?.headers.get("portolan-service"), "identity");
});

Deno.test("a port that somebody else has is reported, the service is served without it, and gets it when it is free", async () => {
  await using one = startBackend("one");
  const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  await using rig = await startRig({ portRetryMs: 20 });
  const one1 = service("identity", { instances: [instance("i1", { port: one.port })], spec: { localPort: port } });
  assert.deepEqual(await rig.map.change(one1), [{
    service: "identity",
    reason: `Cannot serve it at 127.0.0.1:${port}: somebody else uses it`,
  }]);
  assert.equal((await get(rig.port, "/", "Portolan-Service: identity")).body, "one");
  taken.close();
  while ((await rig.map.change()).length > 0);
  assert.equal((await get(port, "/")).body, "one");
});

import assert from "node:assert/strict";
import { once } from "node:events";
import { create } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import {
  DiscoveryService,
  GetMapResponseSchema,
  type WatchRequest,
  WatchResponseSchema,
} from "./gen/portolan/v1/discovery_pb.ts";
import { type RegisterRequest, RegisterResponseSchema, RegistryService } from "./gen/portolan/v1/registry_pb.ts";
import { createClient, encode, serviceDefinition, Undecodable } from "./grpc.ts";

const BROKEN = Buffer.from([0xff, 0xff, 0xff]);

Deno.test("a unary call goes there and back, with numbers of 64 bits whole", async () => {
  await using server = await serve({
    register: (call, answer) => answer(null, registered(call.request as RegisterRequest)),
  });
  const { revision } = await server.registry.register({ realm: "local", service: "identity", id: "i1" });
  assert.equal(revision, 2n ** 63n + 8n);
});

Deno.test("a failed unary call is rejected with grpc-js's ServiceError", async () => {
  await using server = await serve({
    register: (_, answer) => answer({ code: grpc.status.NOT_FOUND, details: "nobody" }),
  });
  await assert.rejects(server.registry.register({}), { code: grpc.status.NOT_FOUND, details: "nobody" });
});

Deno.test("a server's stream arrives in order, messages and bytes encoded before alike", async () => {
  const messages = ["a", "b", "c"].map((name) => create(GetMapResponseSchema, { part: { deleted: [name] } }));
  await using server = await serve({
    getMap: (call) => {
      call.write(messages[0]);
      call.write(encode(GetMapResponseSchema, messages[1]!));
      call.write(messages[2]);
      call.end();
    },
  });
  const parts = await Array.fromAsync(server.discovery.getMap({ scope: { realm: "local" } }));
  assert.deepEqual(parts.map(({ part }) => part?.deleted), [["a"], ["b"], ["c"]]);
});

Deno.test("both sides of a stream talk by turns", async () => {
  await using server = await serve({
    watch: (call) => {
      call.on("data", ({ message }: WatchRequest) => {
        const subscription = message.case === "subscribe" ? message.value.subscription : 0;
        call.write(create(WatchResponseSchema, { subscription }));
      });
      call.on("end", () => call.end());
    },
  });
  const stream = server.discovery.watch();
  const answers = stream[Symbol.asyncIterator]();
  for (const subscription of [1, 2, 3]) {
    stream.write({ message: { case: "subscribe", value: { subscription } } });
    assert.equal((await answers.next()).value?.subscription, subscription);
  }
  stream.end();
  assert.equal((await answers.next()).done, true);
});

Deno.test("bytes that are no such message reach the handler, which says what is wrong", async () => {
  const descriptions: string[] = [];
  const refuse = (request: unknown): grpc.ServerErrorResponse => {
    assert.ok(request instanceof Undecodable);
    descriptions.push(request.description);
    return Object.assign(new Error(), { code: grpc.status.INVALID_ARGUMENT, details: request.description });
  };
  await using server = await serve({
    register: (call, answer) => answer(refuse(call.request)),
    watch: (call) => call.once("data", (request: unknown) => call.emit("error", refuse(request))),
  });
  const same = (bytes: Buffer) => bytes;
  const unary = new Promise((resolve, reject) =>
    server.raw.makeUnaryRequest(
      "/portolan.v1.RegistryService/Register",
      same,
      same,
      BROKEN,
      (error, response) => error ? reject(error) : resolve(response),
    )
  );
  await assert.rejects(unary, { code: grpc.status.INVALID_ARGUMENT });
  const stream = server.raw.makeBidiStreamRequest("/portolan.v1.DiscoveryService/Watch", same, same);
  const failed = once(stream.resume(), "error");
  stream.write(BROKEN);
  assert.equal((await failed)[0].code, grpc.status.INVALID_ARGUMENT);
  assert.match(descriptions[0]!, /^the bytes are no portolan\.v1\.RegisterRequest: ./);
  assert.match(descriptions[1]!, /^the bytes are no portolan\.v1\.WatchRequest: ./);
});

Deno.test("a call ends at its deadline", async () => {
  await using server = await serve({ register: () => {}, getMap: () => {} });
  await assert.rejects(server.registry.register({}, { timeoutMs: 20 }), { code: grpc.status.DEADLINE_EXCEEDED });
  const stream = Array.fromAsync(server.discovery.getMap({}, { timeoutMs: 20 }));
  await assert.rejects(stream, { code: grpc.status.DEADLINE_EXCEEDED });
});

Deno.test("a signal cancels calls, before they begin and under way, at the server too", async () => {
  const arrived: (() => void)[] = [];
  const cancelled: Promise<unknown>[] = [];
  const hang = (call: grpc.ServerUnaryCall<unknown, unknown> | grpc.ServerWritableStream<unknown, unknown>) => {
    cancelled.push(once(call, "cancelled"));
    arrived.shift()?.();
  };
  await using server = await serve({ register: hang, getMap: hang });
  const { register } = server.registry;
  await assert.rejects(register({}, { signal: AbortSignal.abort() }), { code: grpc.status.CANCELLED });
  for (
    const call of [
      register,
      (...args: Parameters<typeof register>) => Array.fromAsync(server.discovery.getMap({}, args[1])),
    ]
  ) {
    const end = new AbortController();
    const underWay = new Promise<void>((resolve) => arrived.push(resolve));
    const result = call({}, { signal: end.signal });
    underWay.then(() => end.abort());
    await assert.rejects(result, { code: grpc.status.CANCELLED });
  }
  await Promise.all(cancelled);
});

Deno.test("a signal that outlives its calls keeps nothing of them", async () => {
  await using server = await serve({
    register: (call, answer) => answer(null, registered(call.request as RegisterRequest)),
  });
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = EventTarget.prototype;
  signal.addEventListener = (...args: Parameters<EventTarget["addEventListener"]>) => {
    listeners += 1;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<EventTarget["removeEventListener"]>) => {
    listeners -= 1;
    removeEventListener.apply(signal, args);
  };
  for (let call = 0; call < 3; call++) await server.registry.register({}, { signal });
  assert.equal(listeners, 0);
});

/** The handlers of the methods that a test calls. */
interface Handlers {
  readonly register?: grpc.handleUnaryCall<unknown, unknown>;
  readonly getMap?: grpc.handleServerStreamingCall<unknown, unknown>;
  readonly watch?: grpc.handleBidiStreamingCall<unknown, unknown>;
}

async function serve({ register, getMap, watch }: Handlers) {
  const server = new grpc.Server();
  server.addService(serviceDefinition(RegistryService), { ...(register && { register }) });
  server.addService(serviceDefinition(DiscoveryService), { ...(getMap && { getMap }), ...(watch && { watch }) });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(
      "127.0.0.1:0",
      grpc.ServerCredentials.createInsecure(),
      (error, port) => error ? reject(error) : resolve(port),
    )
  );
  const address = `127.0.0.1:${port}`;
  const registry = createClient(RegistryService, address);
  const discovery = createClient(DiscoveryService, address);
  const raw = new grpc.Client(address, grpc.credentials.createInsecure());
  return {
    registry,
    discovery,
    raw,
    [Symbol.asyncDispose]: () => {
      for (const client of [registry, discovery, raw]) client.close();
      return new Promise<void>((resolve) => {
        server.tryShutdown(() => resolve());
        server.forceShutdown();
      });
    },
  };
}

/** An answer with a number that would not survive as a double. */
function registered({ service }: RegisterRequest) {
  return create(RegisterResponseSchema, { revision: 2n ** 63n + BigInt(service.length) });
}

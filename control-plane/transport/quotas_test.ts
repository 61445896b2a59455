import assert from "node:assert/strict";
import { once } from "node:events";
import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Realm, ServiceName } from "../domain/names.ts";
import { isRefusal } from "../domain/refusal.ts";
import { DEFAULT_SPEC } from "../domain/service_spec.ts";
import { createClient } from "../../proto/grpc.ts";
import { DiscoveryService } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { ask, refusalOf, testControlPlane, type TestPlane, until, watching } from "./testing.ts";

/** One place for one watch, taken by nobody. */
const free = (plane: TestPlane) => until("its place is free again", () => plane.watches.taken === 0);

/** A watch of a client of its own, which has its first update. */
async function standing(plane: TestPlane) {
  const client = createClient(DiscoveryService, plane.target, { "grpc.use_local_subchannel_pool": 1 });
  const one = watching({ discovery: client });
  one.subscribe(1);
  await one.next();
  return { ...one, client };
}

/** What comes of a watch over gRPC, of a renewal, of a watch over HTTP while there is no place. */
async function refusals(plane: TestPlane) {
  const over = watching(plane);
  const renewal = plane.registry.renew();
  const failures = [over.failure(), once(renewal, "error").then(([error]) => error as ServiceError)];
  over.call.resume();
  const codes = await Promise.all(failures.map((failure) => refusalOf(failure.then((error) => Promise.reject(error)))));
  const { status, headers, json } = await plane.http("GET", "/watch");
  return [...codes.map(({ code }) => code), status, headers.get("retry-after"), json.code];
}

const REFUSED = ["RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED", 429, "1", "RESOURCE_EXHAUSTED"];

Deno.test("a watch over gRPC has its place until it ends, in whichever way", async () => {
  await using plane = await testControlPlane({ maxWatches: 1 });
  const ends: Record<string, (one: Awaited<ReturnType<typeof standing>>) => void> = {
    "it has said all": ({ call }) => call.end(),
    "it is cancelled": ({ call }) => call.on("error", () => {}).cancel(),
    "it says goodbye": ({ say }) => say({ message: { case: "goodbye", value: {} } }),
    "it is wrong": ({ call, say }) => {
      call.on("error", () => {});
      say({ message: { case: undefined } });
    },
    "its client goes": ({ call, client }) => {
      call.on("error", () => {});
      client.close();
      call.cancel();
    },
  };
  for (const end of Object.values(ends)) {
    const one = await standing(plane);
    assert.deepEqual(await refusals(plane), REFUSED);
    end(one);
    await free(plane);
    one.client.close();
  }
});

Deno.test("a watch whose connection breaks leaves its place", async () => {
  await using plane = await testControlPlane({ maxWatches: 1 });
  await using between = await relay(plane.target);
  const client = createClient(DiscoveryService, between.address);
  const { subscribe, next, call } = watching({ discovery: client });
  call.on("error", () => {});
  subscribe(1);
  await next();
  assert.equal(plane.watches.taken, 1);
  between.cut();
  await free(plane);
  client.close();
});

Deno.test("a renewal has its place until it ends, in whichever way", async () => {
  await using plane = await testControlPlane({ maxWatches: 1 });
  const ends = [
    (call: Renewal) => call.end(),
    (call: Renewal) => call.cancel(),
    (call: Renewal) => void call.write({ leaseId: "" }),
  ];
  for (const end of ends) {
    const call = plane.registry.renew();
    call.on("error", () => {});
    call.write({ leaseId: "L" });
    await once(call, "data");
    assert.deepEqual(await refusals(plane), REFUSED);
    end(call);
    await free(plane);
  }
});

type Renewal = ReturnType<TestPlane["registry"]["renew"]>;

Deno.test("a watch over HTTP has its place until its reader goes, and HEAD takes none", async () => {
  await using plane = await testControlPlane({ maxWatches: 1 });
  const gone = new AbortController();
  const response = await fetch(`${plane.url}/watch`, { signal: gone.signal });
  assert.deepEqual(await refusals(plane), REFUSED);
  gone.abort();
  await assert.rejects(response.text());
  await free(plane);
  // One that goes before it has read anything, on a connection of its own.
  const { hostname, port, pathname } = new URL(plane.url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  await connection.write(new TextEncoder().encode(`GET ${pathname}/watch HTTP/1.1\r\nhost: a\r\n\r\n`));
  await until("the watch stands", () => plane.watches.taken === 1);
  connection.close();
  await free(plane);
  assert.equal((await plane.http("HEAD", "/watch")).status, 200);
  await free(plane);
  const wrong = await plane.http("GET", "/watch?service=A");
  assert.deepEqual([wrong.status, plane.watches.taken], [400, 0]);
});

Deno.test("places end with the server, and those of watches are not those of requests", async () => {
  await using plane = await testControlPlane({ maxRequests: 1 });
  const one = await standing(plane);
  one.call.on("error", () => {});
  const renewal = plane.registry.renew();
  renewal.on("error", () => {});
  const events = await fetch(`${plane.url}/watch`);
  await until("three stand", () => plane.watches.taken === 3);
  assert.equal((await plane.http("GET", "/map")).status, 200);
  await plane.stop();
  await events.text();
  one.client.close();
  assert.deepEqual([plane.watches.taken, plane.requests.taken], [0, 0]);
});

Deno.test("a call that says nothing has its place too, and who watches health", async () => {
  await using plane = await testControlPlane({ maxRequests: 1, maxWatches: 1 });
  const client = new Client(plane.target, credentials.createInsecure());
  const same = (bytes: Uint8Array) => Buffer.from(bytes);
  const open = (path: string) => {
    const call = client.makeBidiStreamRequest(path, same, same);
    call.on("error", () => {});
    return call;
  };
  const silent = open("/portolan.v1.RegistryService/Register");
  await until("it is under way", () => plane.requests.taken === 1);
  assert.equal((await refusalOf(plane.register("a"))).code, "RESOURCE_EXHAUSTED");
  silent.cancel();
  await until("its place is free", () => plane.requests.taken === 0);
  const health = open("/grpc.health.v1.Health/Watch");
  health.write(new Uint8Array());
  health.resume();
  await until("it stands", () => plane.watches.taken === 1);
  assert.deepEqual(await refusals(plane), REFUSED);
  health.cancel();
  await free(plane);
  client.close();
});

Deno.test("a request has its place until it is answered, over either transport", async () => {
  await using plane = await testControlPlane({ maxRequests: 1 });
  const LOCAL = { realm: "local" };
  const waiting = plane.fleet.waitForRevision({ ...LOCAL, revision: 2n, timeout: durationFromMs(60_000) });
  await until("it is under way", () => plane.requests.taken === 1);
  const full = await plane.http("GET", "/map");
  assert.deepEqual([full.status, full.headers.get("retry-after"), full.json.code], [429, "1", "RESOURCE_EXHAUSTED"]);
  assert.equal(full.headers.get("content-type"), "application/problem+json");
  assert.equal((await ask(`${plane.origin}/healthz`)).status, 200, "whoever restarts what is not well asks for this");
  const calls: Promise<unknown>[] = [
    plane.register("a"),
    plane.fleet.listFollowers(LOCAL),
    once(plane.discovery.getMap({ scope: LOCAL }), "error").then(([error]) => Promise.reject(error)),
    once(plane.fleet.history(LOCAL), "error").then(([error]) => Promise.reject(error)),
    imported(plane),
  ];
  for (const call of calls) assert.equal((await refusalOf(call)).code, "RESOURCE_EXHAUSTED");
  await plane.ports.operations.beginEpoch({ identity: "test", reason: "" });
  await waiting;
  assert.equal((await plane.http("GET", "/map")).status, 200);
  await plane.register("a");
  for await (const _ of plane.discovery.getMap({ scope: LOCAL }));
  for await (const _ of plane.fleet.history(LOCAL));
  await imported(plane);
  await refusalOf(plane.registry.deregister({ ...LOCAL, service: "nowhere", id: "i" }));
  await refusalOf(plane.registry.deregister({ ...LOCAL, service: "UPPER", id: "i" }));
  await plane.http("GET", "/nowhere");
  assert.equal(plane.requests.taken, 0);
});

Deno.test("a large map over HTTP has its place until it is read or its reader goes", async () => {
  await using plane = await testControlPlane({ maxRequests: 2 });
  // More than fits between the server and a client that does not read.
  const spec = { ...DEFAULT_SPEC, policy: { statuses: Array.from({ length: 500 }, (_, i) => 100 + i) } };
  const services = Array.from({ length: 4_000 }, (_, i) => ({
    name: `s${i}` as ServiceName,
    enabled: true,
    spec,
    instances: [],
    aliases: [],
  }));
  const caller = { identity: "test", reason: "" };
  assert.ok(!isRefusal(await plane.ports.importRealm(caller, "local" as Realm, services, true)));
  const gone = new AbortController();
  const unread = await fetch(`${plane.url}/map`, { signal: gone.signal });
  assert.equal(plane.requests.taken, 1);
  gone.abort();
  await assert.rejects(unread.text());
  await until("its place is free", () => plane.requests.taken === 0);
  assert.equal((await plane.http("GET", "/map")).json.services.length, 4_000);
  await until("its place is free", () => plane.requests.taken === 0);
});

Deno.test("history over HTTP has its place until it is read or its reader goes", async () => {
  await using plane = await testControlPlane({ maxRequests: 2 });
  // More than fits between the server and a client that does not read.
  const metadata = { k: "v".repeat(4_000) };
  for (let i = 0; i < 5; i++) {
    const instance = { host: "a", port: 1 + i, metadata };
    for (let id = 0; id < 20; id++) {
      await plane.registry.register({ realm: "local", service: "a", id: `i${id}`, instance });
    }
  }
  const gone = new AbortController();
  const url = `${plane.url}/history`;
  const unread = await fetch(url, { signal: gone.signal });
  assert.equal(plane.requests.taken, 1);
  assert.equal((await plane.http("GET", "/history?limit=1")).status, 429, "its own place, and one for the answer");
  gone.abort();
  await assert.rejects(unread.text());
  await until("its place is free", () => plane.requests.taken === 0);
  assert.equal((await plane.http("GET", "/history")).json.entries.length, 100);
  assert.equal((await plane.http("HEAD", "/history")).status, 200);
  await until("its place is free", () => plane.requests.taken === 0);
});

async function imported({ registry }: TestPlane) {
  const { stream, response } = registry.import();
  stream.write({ realm: "elsewhere" });
  stream.end();
  return await response;
}

/** Passes bytes on between a client and a server until it is cut. */
function relay(target: string) {
  const [hostname, port] = target.split(":");
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const near of listener) {
      const far = await Deno.connect({ hostname: hostname!, port: Number(port) });
      connections.push(near, far);
      near.readable.pipeTo(far.writable).catch(() => {});
      far.readable.pipeTo(near.writable).catch(() => {});
    }
  })();
  const cut = () => {
    for (const connection of connections.splice(0)) {
      try {
        connection.close();
      } catch {
        // The other end was first.
      }
    }
  };
  return {
    address: `127.0.0.1:${listener.addr.port}`,
    cut,
    async [Symbol.asyncDispose]() {
      cut();
      listener.close();
      await accepting;
    },
  };
}

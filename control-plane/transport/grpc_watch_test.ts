import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { status } from "@grpc/grpc-js";
import { create, fromBinary } from "@bufbuild/protobuf";
import { isRefusal } from "../domain/refusal.ts";
import {
  Follower_Kind,
  WatchRequestSchema,
  type WatchResponse,
  WatchResponseSchema,
} from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { Room } from "./room.ts";
import { testControlPlane, type TestPlane, testPorts, until, type Watching, watching } from "./testing.ts";
import { type WatchCall, WatchSession } from "./grpc_watch.ts";

Deno.test("Watch sends everything, then what changed, one update at a time", async () => {
  await using plane = await testControlPlane();
  await plane.register("a");
  const { call, subscribe, next, received } = watching(plane);
  subscribe(1);
  const first = await next();
  assert.deepEqual([first.names, first.part.complete, first.part.last, first.subscription], [["a"], true, true, 1]);
  await plane.register("b");
  await plane.register("c");
  // Nothing more comes before the first update was received: both changes are in the second.
  received(first.part);
  const second = await next();
  assert.deepEqual([second.names, second.part.complete], [["b", "c"], false]);
  call.cancel();
  await once(call, "error");
});

Deno.test("Watch resumes with what changed since a position", async () => {
  await using plane = await testControlPlane();
  await plane.register("a");
  const before = watching(plane);
  before.subscribe(1);
  const { part } = await before.next();
  before.call.end();
  await plane.register("b");
  const after = watching(plane);
  after.subscribe(1, [], { after: part.position! });
  const resumed = await after.next();
  assert.deepEqual([resumed.names, resumed.part.complete], [["b"], false]);
  after.call.end();
});

Deno.test("Watch answers a changed subscription under its number", async () => {
  await using plane = await testControlPlane();
  await plane.register("a");
  await plane.register("b");
  const { call, subscribe, next } = watching(plane);
  subscribe(1, ["a"]);
  assert.deepEqual((await next()).names, ["a"]);
  // The first update was never received: the new subscription does not wait for that.
  subscribe(2, ["b"]);
  const second = await next();
  assert.deepEqual([second.names, second.subscription, second.part.complete], [["b"], 2, true]);
  call.end();
});

Deno.test("Watch goes on in the new scope alone, after what is held of it", async () => {
  await using plane = await testControlPlane();
  await plane.register("a");
  await plane.register("b");
  const { call, subscribe, next, received } = watching(plane);
  subscribe(1, ["a"]);
  const first = await next();
  received(first.part);
  await plane.register("b", "i2");
  subscribe(2, ["b"], { after: first.part.position! });
  const second = await next();
  assert.deepEqual([second.names, second.subscription, second.part.complete], [["b"], 2, false]);
  received(second.part);
  await plane.register("a", "i2");
  await plane.register("b", "i3");
  assert.deepEqual((await next()).names, ["b"], "nobody follows a any more");
  call.end();
});

Deno.test("Watch of one realm hears nothing of another", async () => {
  await using plane = await testControlPlane();
  const elsewhere = (id: string) =>
    plane.registry.register({ realm: "testing", service: "a", id, instance: { host: "a", port: 1 } });
  await elsewhere("i1");
  const { call, subscribe, next, received } = watching(plane);
  subscribe(1);
  const first = await next();
  assert.deepEqual([first.names, first.part.complete], [[], true]);
  received(first.part);
  await elsewhere("i2");
  await plane.register("b");
  assert.deepEqual((await next()).names, ["b"]);
  const { followers } = await plane.fleet.listFollowers({ realm: "testing" });
  assert.deepEqual(followers, []);
  call.end();
});

Deno.test("what followers say of themselves is listed, also over HTTP", async () => {
  await using plane = await testControlPlane();
  const { call, subscribe, next, received, say } = watching(plane, { kind: Follower_Kind.SDK });
  subscribe(1, ["b", "a"]);
  const { part } = await next();
  received(part);
  const refused = [{ service: "a", reason: "x".repeat(5_000) }];
  say({ message: { case: "applied", value: { position: part.position!, refused } } });
  await plane.register("a");
  await next();
  const [follower] = (await plane.fleet.listFollowers({ realm: "local" })).followers;
  assert.deepEqual([follower?.follower?.id, follower?.scope?.services, follower?.connected], [
    "test",
    ["a", "b"],
    true,
  ]);
  assert.deepEqual([follower?.received, follower?.applied], [part.position, part.position]);
  assert.deepEqual(follower?.refused.map(({ service, reason }) => [service, reason.length]), [["a", 512]]);
  const { json } = await plane.http("GET", "/followers");
  assert.equal(json.followers[0].received.revision, String(part.position?.revision));
  assert.deepEqual([json.followers[0].follower.kind, json.followers[0].follower.program], ["SDK", "test/1"]);
  call.end();
});

Deno.test("Watch ends when the client has said all: a sidecar is missed, nobody else", async () => {
  await using plane = await testControlPlane();
  for (const [kind, listed] of [[Follower_Kind.SDK, []], [Follower_Kind.TOOL, []], [Follower_Kind.SIDECAR, [false]]]) {
    const { call, subscribe, next, ended } = watching(plane, { kind: kind as Follower_Kind });
    subscribe(1);
    await next();
    call.end();
    await ended();
    const { followers } = await plane.fleet.listFollowers({ realm: "local" });
    assert.deepEqual(followers.map(({ connected }) => connected), listed);
  }
});

Deno.test("Watch ends with goodbye, and nobody waits for the sidecar any more", async () => {
  await using plane = await testControlPlane();
  const { subscribe, next, say, ended } = watching(plane);
  subscribe(1);
  await next();
  say({ message: { case: "goodbye", value: {} } });
  await ended();
  assert.deepEqual((await plane.fleet.listFollowers({ realm: "local" })).followers, []);
});

Deno.test("Watch ahead of the store begins a new epoch once; another one that far ahead is refused", async () => {
  await using plane = await testControlPlane();
  await plane.register("a");
  const before = plane.ports.reading.position();
  // Two who come at the same time after the store was put back.
  const ahead = { after: { epoch: before.epoch, revision: before.revision + 100n } };
  const both = [watching(plane, { id: "one" }), watching(plane, { id: "two" })];
  for (const { subscribe } of both) subscribe(1, [], ahead);
  for (const { next, call } of both) {
    const { part, names } = await next();
    assert.deepEqual([part.complete, names], [true, ["a"]]);
    assert.ok(part.position!.epoch > before.epoch);
    assert.equal(part.position!.epoch, plane.ports.reading.position().epoch);
    call.end();
  }
  const { epoch, revision } = plane.ports.reading.position();
  assert.equal(revision, before.revision + 3n, "the epoch, and two sidecars on the roster");
  const liar = watching(plane, { id: "one" });
  const failure = liar.failure();
  liar.call.resume();
  liar.subscribe(1, [], { after: { epoch, revision: revision + 1n } });
  const { code, details } = await failure;
  assert.equal(code, status.INVALID_ARGUMENT);
  assert.match(details, /^after: /);
  assert.equal(plane.ports.reading.position().epoch, epoch);
});

Deno.test("Watch refuses who claims to route by what nobody was given", async () => {
  await using plane = await testControlPlane();
  const { epoch, revision } = plane.ports.reading.position();
  const claims = [{ epoch, revision: revision + 2n }, { epoch: epoch + 1n, revision: 1n }];
  for (const [i, position] of claims.entries()) {
    const { subscribe, next, say, failure } = watching(plane, { id: `liar${i}`, kind: Follower_Kind.SDK });
    subscribe(1);
    await next();
    const failed = failure();
    say({ message: { case: "applied", value: { position } } });
    const { code, details } = await failed;
    assert.deepEqual([code, details], [
      status.INVALID_ARGUMENT,
      `position: expected at most ${epoch}.${revision}, the newest one here`,
    ]);
  }
});

Deno.test("Watch takes it from who comes back that it routes by what it brings, though the store was put back", async () => {
  await using parts = await testPorts();
  const { epoch, revision } = parts.ports.reading.position();
  const position = { epoch, revision: revision + 100n };
  const call = Object.assign(new EventEmitter(), { write: () => true, end: () => {}, getPeer: () => "127.0.0.1:1" });
  const session = new WatchSession(call as unknown as WatchCall, parts.ports, new Room());
  const subscribe = { scope: { realm: "local" }, subscription: 1, after: position };
  // Before it is found out that nobody is that far any more: an error would be thrown here.
  call.emit("data", create(WatchRequestSchema, { message: { case: "subscribe", value: subscribe } }));
  call.emit("data", create(WatchRequestSchema, { message: { case: "applied", value: { position } } }));
  await until("a new epoch begins", () => parts.ports.reading.position().epoch > epoch);
  assert.ok(!session.ended.aborted);
  call.emit("cancelled");
});

/** A session that waits for room, which is taken, with an update that needs it; `written` is what it sends from then on. */
async function waitingForRoom(plane: TestPlane) {
  for (let i = 0; i < 20; i++) {
    const instance = { host: "a", port: 1, metadata: { k: "x".repeat(4_000) } };
    await plane.registry.register({ realm: "local", service: "a", id: `i${i}`, instance });
  }
  const room = new Room(100 << 10);
  const full = await room.take("127.0.0.1", 100 << 10, new AbortController().signal);
  assert.ok(!isRefusal(full));
  const asked = Promise.withResolvers<void>();
  const take = room.take.bind(room);
  room.take = (...what) => (asked.resolve(), take(...what));
  const written: WatchResponse[] = [];
  const call = Object.assign(new EventEmitter(), {
    write: (bytes: Buffer) => written.push(fromBinary(WatchResponseSchema, bytes)),
    getPeer: () => "127.0.0.1:1",
  });
  new WatchSession(call as unknown as WatchCall, plane.ports, room);
  const subscribe = (subscription: number) => {
    const value = { scope: { realm: "local" }, subscription };
    call.emit("data", create(WatchRequestSchema, { message: { case: "subscribe", value } }));
  };
  subscribe(1);
  await asked.promise;
  return { call, subscribe, room, full, written };
}

Deno.test("Watch that subscribes again while its update waits for room is sent the new one, and goes on", async () => {
  await using plane = await testControlPlane();
  const { call, subscribe, full, written } = await waitingForRoom(plane);
  subscribe(2);
  full[Symbol.dispose]();
  await until("an update comes", () => written.length > 0);
  const position = written[0]!.part!.position!;
  call.emit("data", create(WatchRequestSchema, { message: { case: "received", value: { position } } }));
  await plane.register("b");
  await until("the next one comes", () => written.length > 1);
  assert.deepEqual(written.map(({ subscription, part }) => [subscription, part?.complete]), [[2, true], [2, false]]);
  call.emit("cancelled");
});

Deno.test("Watch that ends in the moment in which there is room leaves it to others", async () => {
  await using plane = await testControlPlane();
  const { call, room, full, written } = await waitingForRoom(plane);
  full[Symbol.dispose]();
  call.emit("cancelled");
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.ok(!isRefusal(await room.take("127.0.0.1", 100 << 10, AbortSignal.abort())));
  assert.deepEqual(written, []);
});

Deno.test("Watch that never asks for anything is ended", async () => {
  await using parts = await testPorts();
  const call = Object.assign(new EventEmitter(), { write: () => true, end: () => {}, getPeer: () => "127.0.0.1:1" });
  const failed = once(call, "error");
  const session = new WatchSession(call as unknown as WatchCall, parts.ports, new Room(), 1);
  const [{ code, details }] = await failed;
  assert.deepEqual([code, details], [status.INVALID_ARGUMENT, "message: expected subscribe within 1 ms"]);
  assert.ok(session.ended.aborted);
  // One that has asked may be silent from then on.
  const asking = Object.assign(new EventEmitter(), { write: () => true, end: () => {}, getPeer: () => "127.0.0.1:1" });
  const kept = new WatchSession(asking as unknown as WatchCall, parts.ports, new Room(), 1);
  const subscribe = { scope: { realm: "local" }, subscription: 1 };
  asking.emit("data", create(WatchRequestSchema, { message: { case: "subscribe", value: subscribe } }));
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(!kept.ended.aborted);
  asking.emit("cancelled");
  assert.ok(kept.ended.aborted);
});

Deno.test("Watch whose client subscribes again and again, and receives nothing, is ended", async () => {
  await using plane = await testControlPlane();
  const one = watching(plane);
  const failure = one.failure();
  one.call.resume();
  for (let subscription = 1; subscription <= 100; subscription++) one.subscribe(subscription);
  assert.equal((await failure).code, status.RESOURCE_EXHAUSTED);
  // Who receives what is sent may go on for ever.
  const other = watching(plane);
  for (let subscription = 1; subscription <= 100; subscription++) {
    other.subscribe(subscription);
    other.received((await other.next()).part);
  }
  other.call.end();
});

Deno.test("Watch refuses what makes no sense, and says why", async () => {
  await using plane = await testControlPlane();
  const position = { epoch: 1n, revision: 1n };
  const cases: [(one: Watching) => void, RegExp][] = [
    [({ say }) => say({ message: { case: "received", value: { position } } }), /subscribe first/],
    [({ say }) => say({ message: { case: "goodbye", value: {} } }), /subscribe first/],
    [({ say }) => say({ message: { case: undefined } }), /subscribe/],
    [({ subscribe }) => subscribe(1, ["Upper"]), /lower case/],
    [({ subscribe }) => (subscribe(2), subscribe(2)), /more than 2/],
    [({ subscribe, say }) => (subscribe(1), say({ message: { case: "applied", value: {} } })), /position/],
    [({ subscribe }) => subscribe(1, [], { program: "a\u001b[31m" }), /^follower.program: /],
    [({ subscribe }) => subscribe(1, [], { program: "a".repeat(257) }), /^follower.program: /],
    [
      ({ subscribe, say }) => {
        subscribe(1);
        say({ message: { case: "applied", value: { position, refused: [{ service: "A", reason: "" }] } } });
      },
      /^refused\[0\].service: /,
    ],
  ];
  for (const [misuse, reason] of cases) {
    const one = watching(plane);
    const failure = one.failure();
    one.call.resume();
    misuse(one);
    const { code, details } = await failure;
    assert.equal(code, status.INVALID_ARGUMENT);
    assert.match(details, reason);
  }
});

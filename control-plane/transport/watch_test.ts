import assert from "node:assert/strict";
import { once } from "node:events";
import { type ServiceError, status } from "@grpc/grpc-js";
import type { Part, WatchResponse } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { Follower_Kind } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { testControlPlane } from "./testing.ts";

type Plane = Awaited<ReturnType<typeof testControlPlane>>;
type Watching = ReturnType<typeof watch>;

/** A watch whose parts are asked for one after the other. */
function watch(plane: Plane) {
  const call = plane.discovery.watch();
  const parts = call[Symbol.asyncIterator]() as AsyncIterator<WatchResponse>;
  return {
    call,
    say: (request: Parameters<typeof call.write>[0]) => void call.write(request),
    subscribe: (subscription: number, services: string[] = [], after?: Part["position"]) =>
      call.write({
        message: {
          case: "subscribe",
          value: {
            scope: { realm: "local", services },
            subscription,
            follower: { id: "test", kind: Follower_Kind.SIDECAR, program: "test/1" },
            ...(after && { after }),
          },
        },
      }),
    async next(): Promise<{ part: Part; names: string[]; subscription: number }> {
      const { value, done } = await parts.next();
      if (done) throw new Error("The watch has ended");
      const { part, subscription } = value as WatchResponse;
      return { part: part!, names: part!.set.map(({ name }) => name), subscription };
    },
    received: ({ position }: Part) => void call.write({ message: { case: "received", value: { position } } } as never),
    /** Resolves when the server has ended the stream without an error. */
    ended: async () => assert.ok((await parts.next()).done),
    /** Resolves with how the watch failed. */
    failure: () => once(call, "error").then(([error]) => error as ServiceError),
  };
}

Deno.test("Watch sends everything, then what changed, one update at a time", async () => {
  await using plane = await testControlPlane();
  await plane.register("a");
  const { call, subscribe, next, received } = watch(plane);
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
  const before = watch(plane);
  before.subscribe(1);
  const { part } = await before.next();
  before.call.end();
  await plane.register("b");
  const after = watch(plane);
  after.subscribe(1, [], part.position);
  const resumed = await after.next();
  assert.deepEqual([resumed.names, resumed.part.complete], [["b"], false]);
  after.call.end();
});

Deno.test("Watch answers a changed subscription under its number", async () => {
  await using plane = await testControlPlane();
  await plane.register("a");
  await plane.register("b");
  const { call, subscribe, next } = watch(plane);
  subscribe(1, ["a"]);
  assert.deepEqual((await next()).names, ["a"]);
  // The first update was never received: the new subscription does not wait for that.
  subscribe(2, ["b"]);
  const second = await next();
  assert.deepEqual([second.names, second.subscription, second.part.complete], [["b"], 2, true]);
  call.end();
});

Deno.test("Watch ends when the client has said all, and the follower is listed no more", async () => {
  await using plane = await testControlPlane();
  const { call, subscribe, next, received, say, ended } = watch(plane);
  subscribe(1, ["a"]);
  const { part } = await next();
  received(part);
  say({
    message: { case: "applied", value: { position: part.position!, refused: [{ service: "a", reason: "why" }] } },
  });
  await plane.register("a");
  const { part: newer } = await next();
  const [follower] = (await plane.fleet.listFollowers({ realm: "local" })).followers;
  assert.deepEqual([follower?.follower?.id, follower?.scope?.services, follower?.connected], ["test", ["a"], true]);
  assert.deepEqual([follower?.received, follower?.applied], [part.position, part.position]);
  assert.equal(follower?.refused[0]?.reason, "why");
  const overHttp = await (await fetch(`${plane.url}/followers`)).json();
  assert.equal(overHttp.followers[0].received.revision, String(part.position?.revision));
  assert.equal(overHttp.followers[0].follower.kind, "SIDECAR");
  assert.ok(newer.position!.revision > part.position!.revision);
  call.end();
  await ended();
  assert.deepEqual((await plane.fleet.listFollowers({ realm: "local" })).followers, []);
});

Deno.test("Watch refuses what makes no sense, and says why", async () => {
  await using plane = await testControlPlane();
  const cases: [(one: Watching) => void, RegExp][] = [
    [
      ({ say }) => say({ message: { case: "received", value: { position: { epoch: 1n, revision: 1n } } } }),
      /subscribe/,
    ],
    [({ say }) => say({ message: { case: undefined } }), /subscribe/],
    [({ subscribe }) => subscribe(1, ["Upper"]), /lower case/],
    [({ subscribe }) => (subscribe(2), subscribe(2)), /more than 2/],
    [({ subscribe, say }) => (subscribe(1), say({ message: { case: "applied", value: {} } })), /position/],
  ];
  for (const [misuse, reason] of cases) {
    const one = watch(plane);
    const failure = one.failure();
    one.call.resume();
    misuse(one);
    const { code, details } = await failure;
    assert.equal(code, status.INVALID_ARGUMENT);
    assert.match(details, reason);
  }
});

Deno.test("Watch ends with UNAVAILABLE when the control plane stops", async () => {
  await using plane = await testControlPlane();
  const { subscribe, next, failure } = watch(plane);
  subscribe(1);
  await next();
  const failed = failure();
  await plane.stop();
  assert.equal((await failed).code, status.UNAVAILABLE);
});

Deno.test("GetMap sends the map at one position, not before the one asked for", async () => {
  await using plane = await testControlPlane();
  const { revision } = await plane.register("a");
  const parts: Part[] = [];
  for await (const { part } of plane.discovery.getMap({ scope: { realm: "local" }, minRevision: revision })) {
    parts.push(part as Part);
  }
  assert.deepEqual(parts.map(({ last, complete }) => [last, complete]), [[true, true]]);
  assert.ok(parts[0]!.position!.revision >= revision);
});

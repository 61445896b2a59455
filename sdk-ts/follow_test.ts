import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import { Follower_Kind } from "../proto/gen/portolan/v1/discovery_pb.ts";
import { type Fields, type Log, SILENT } from "../proto/log.ts";
import { follow, type Following, type FollowOptions } from "./follow.ts";
import { type Ports, REAL } from "./ports.ts";
import { serveFake } from "./testing/control_plane.ts";
import { at, hear, next, sessions } from "./testing/sessions.ts";

const FOLLOWER = { id: "here", kind: Follower_Kind.TOOL, program: "test/1", zone: "" };
const SOON: Ports = { ...REAL, sleep: () => new Promise((resolve) => setTimeout(resolve, 1)) };

function following(controlPlanes: readonly string[], more: Partial<FollowOptions> = {}): Following {
  return follow({ controlPlanes, scope: { realm: "local", services: [] }, follower: FOLLOWER, ...more }, SOON);
}

Deno.test("follow() folds parts at the last one, says received, and applied when told", async () => {
  const open = sessions();
  await using server = await serveFake(open);
  await using follower = following([server.address], { scope: { realm: "local", services: ["a", "b"] } });
  const snapshots = follower[Symbol.asyncIterator]();
  assert.equal(follower.connected, false);

  const session = await open.next();
  const { scope, follower: who, after, subscription } = await hear(session, "subscribe");
  assert.deepEqual([scope?.realm, scope?.services, who?.id, after], ["local", ["a", "b"], "here", undefined]);
  session.send(subscription, { ...at(1n, 3n), complete: true, last: false, set: [{ name: "a" }] });
  session.send(subscription, { ...at(1n, 3n), complete: true, set: [{ name: "b" }] });
  const snapshot = await next(snapshots);
  assert.deepEqual([...snapshot.services.keys()], ["a", "b"]);
  assert.deepEqual([...snapshot.changed], ["a", "b"]);
  assert.equal(follower.connected, true);
  assert.equal((await hear(session, "received")).position?.revision, 3n);

  follower.applied(snapshot.position, [{ service: "a", reason: "it cannot be rendered" }]);
  const applied = await hear(session, "applied");
  assert.equal(applied.position?.revision, 3n);
  assert.equal(applied.refused[0]?.reason, "it cannot be rendered");
});

Deno.test("follow() drops parts that answer another subscription", async () => {
  const open = sessions();
  await using server = await serveFake(open);
  await using follower = following([server.address]);
  const session = await open.next();
  const { subscription } = await hear(session, "subscribe");
  session.send(subscription + 1, { ...at(1n, 1n), complete: true, set: [{ name: "stranger" }] });
  session.send(subscription, { ...at(1n, 2n), complete: true, set: [{ name: "a" }] });
  const snapshot = await next(follower[Symbol.asyncIterator]());
  assert.deepEqual([...snapshot.services.keys()], ["a"]);
});

Deno.test("follow() melts snapshots that a slow consumer missed, and yields a position that moved alone", async () => {
  const open = sessions();
  await using server = await serveFake(open);
  await using follower = following([server.address]);
  const snapshots = follower[Symbol.asyncIterator]();
  const session = await open.next();
  const { subscription } = await hear(session, "subscribe");
  session.send(subscription, { ...at(1n, 1n), complete: true, set: [{ name: "a" }] });
  await hear(session, "received");
  session.send(subscription, { ...at(1n, 2n), deleted: ["a"] });
  await hear(session, "received");
  session.send(subscription, { ...at(1n, 3n), set: [{ name: "b" }] });
  await hear(session, "received");
  const melted = await next(snapshots);
  assert.deepEqual([melted.position.revision, [...melted.changed], [...melted.services.keys()]], [3n, ["a", "b"], [
    "b",
  ]]);

  session.send(subscription, at(1n, 4n));
  const moved = await next(snapshots);
  assert.deepEqual([moved.position.revision, [...moved.changed]], [4n, []]);
});

Deno.test("follow() comes back with the position held and says again what is applied", async () => {
  const open = sessions();
  await using server = await serveFake(open);
  await using follower = following([server.address]);
  const snapshots = follower[Symbol.asyncIterator]();
  const first = await open.next();
  const { subscription } = await hear(first, "subscribe");
  first.send(subscription, { ...at(1n, 5n), complete: true, set: [{ name: "a" }] });
  follower.applied((await next(snapshots)).position);
  first.send(subscription, { ...at(1n, 6n), last: false, set: [{ name: "half" }] });
  first.close(status.UNAVAILABLE, "going away");

  const second = await open.next();
  const again = await hear(second, "subscribe");
  assert.equal(again.after?.revision, 5n);
  assert.equal((await hear(second, "applied")).position?.revision, 5n);
  second.send(again.subscription, { ...at(2n, 6n), complete: true, set: [{ name: "b" }] });
  assert.deepEqual([...(await next(snapshots)).services.keys()], ["b"], "half an update is forgotten");
  await hear(second, "received");
  second.close();

  // What was applied of the old epoch says nothing about the new one.
  const third = await open.next();
  assert.equal((await hear(third, "subscribe")).after?.epoch, 2n);
  follower.applied({ $typeName: "portolan.v1.Position", epoch: 2n, revision: 6n });
  assert.equal((await hear(third, "applied")).position?.epoch, 2n);
});

Deno.test("follow() refuses a lower epoch, keeps the map, and tries again", async () => {
  const lines: string[] = [];
  const line = (_: string, fields?: Fields) => lines.push(String(fields?.["reason"]));
  const log: Log = { info() {}, warn: line, error: line };
  const open = sessions();
  await using server = await serveFake(open);
  await using follower = following([server.address], { log });
  const snapshots = follower[Symbol.asyncIterator]();
  const first = await open.next();
  first.send((await hear(first, "subscribe")).subscription, { ...at(7n, 1n), complete: true, set: [{ name: "a" }] });
  await next(snapshots);
  first.close();

  const second = await open.next();
  second.send((await hear(second, "subscribe")).subscription, { ...at(6n, 9n), complete: true });
  const third = await open.next();
  const { after, subscription } = await hear(third, "subscribe");
  assert.equal(after?.epoch, 7n);
  third.send(subscription, { ...at(7n, 2n), set: [{ name: "b" }] });
  assert.deepEqual([...(await next(snapshots)).services.keys()], ["a", "b"]);
  assert.ok(lines.some((reason) => /6\.9 is before 7\.1/.test(reason)), lines.join());
});

Deno.test("follow() goes to the next address, through codes that the connection may be to blame for", async () => {
  const codes = [
    status.INTERNAL,
    status.UNKNOWN,
    status.CANCELLED,
    status.RESOURCE_EXHAUSTED,
    status.DEADLINE_EXCEEDED,
  ];
  const open = sessions();
  await using bad = await serveFake({ watch: (session) => session.close(codes.shift() ?? status.UNAVAILABLE) });
  const gone = await serveFake({});
  await gone[Symbol.asyncDispose]();
  await using good = await serveFake(open);
  const reasons: unknown[] = [];
  const log: Log = { ...SILENT, warn: (_, fields) => reasons.push(fields?.["reason"]) };
  await using follower = following([bad.address, gone.address, bad.address, good.address], { log });
  const session = await open.next();
  session.send((await hear(session, "subscribe")).subscription, { ...at(1n, 1n), complete: true });
  assert.equal((await next(follower[Symbol.asyncIterator]())).position.revision, 1n);
  assert.equal(reasons[1], `connect ECONNREFUSED ${gone.address}`);
});

Deno.test("follow() throws out of the iterator what another try would not change", async () => {
  for (
    const code of ["INVALID_ARGUMENT", "PERMISSION_DENIED", "UNAUTHENTICATED", "NOT_FOUND", "UNIMPLEMENTED"] as const
  ) {
    await using server = await serveFake({ watch: (session) => session.close(status[code], `because of ${code}`) });
    await using follower = following([server.address]);
    await assert.rejects(follower[Symbol.asyncIterator]().next(), new RegExp(`Cannot follow .*because of ${code}`));
  }
});

Deno.test("follow() with a map goes on asking whoever refuses, and asks all before it gives up without one", async () => {
  const open = sessions();
  await using server = await serveFake(open);
  await using refusing = await serveFake({ watch: (session) => session.close(status.PERMISSION_DENIED, "not you") });
  await using follower = following([refusing.address, server.address]);
  const snapshots = follower[Symbol.asyncIterator]();
  const first = await open.next();
  first.send((await hear(first, "subscribe")).subscription, { ...at(1n, 1n), complete: true });
  assert.equal((await next(snapshots)).position.revision, 1n);
  first.close(status.PERMISSION_DENIED, "not you any more");
  const second = await open.next();
  const { subscription, after } = await hear(second, "subscribe");
  assert.equal(after?.revision, 1n);
  second.send(subscription, at(1n, 2n));
  assert.equal((await next(snapshots)).position.revision, 2n);
});

Deno.test("follow() ends its iteration when it is disposed, also while nothing answers", async () => {
  const open = sessions();
  await using server = await serveFake(open);
  const follower = follow({
    controlPlanes: [server.address],
    scope: { realm: "local", services: [] },
    follower: FOLLOWER,
  });
  const waiting = follower[Symbol.asyncIterator]().next();
  const session = await open.next();
  await hear(session, "subscribe");
  await follower[Symbol.asyncDispose]();
  assert.equal((await waiting).done, true);
  assert.equal((await session.heard.next()).done, true, "the server hears of it");
  assert.equal(follower.connected, false);
});

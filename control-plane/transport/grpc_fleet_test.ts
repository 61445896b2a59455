import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { create } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { durationFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { Follower_Kind } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import {
  HistoryRequestSchema,
  type HistoryResponse,
  WaitForRevisionResponse_Verdict,
} from "../../proto/gen/portolan/v1/fleet_pb.ts";
import { RegisterRequestSchema } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { type Order, registerOrder } from "./decode_registry.ts";
import { fleetHandlers } from "./grpc_fleet.ts";
import { execute } from "./orders.ts";
import { Room } from "./room.ts";
import { refusalOf, TestClock, testControlPlane, testPorts, until, watching } from "./testing.ts";

const { DONE, WAITING } = WaitForRevisionResponse_Verdict;
const LOCAL = { realm: "local" };

Deno.test("WaitForRevision is DONE when everybody who counts routes by it, and names who does not", async () => {
  await using plane = await testControlPlane();
  const none = await plane.fleet.waitForRevision(LOCAL);
  assert.deepEqual([none.verdict, none.revision], [DONE, plane.ports.reading.position().revision]);
  const { subscribe, next, say, call } = watching(plane, { id: "program", kind: Follower_Kind.SDK });
  subscribe(1);
  const { part } = await next();
  const late = await plane.fleet.waitForRevision({ ...LOCAL, timeout: durationFromMs(5) });
  assert.deepEqual([late.verdict, late.laggards.map(({ follower }) => follower?.id)], [WAITING, ["program"]]);
  const waiting = plane.fleet.waitForRevision({ ...LOCAL, timeout: durationFromMs(600_000) });
  say({ message: { case: "applied", value: { position: part.position! } } });
  assert.equal((await waiting).verdict, DONE);
  call.end();
  for (const timeout of [durationFromMs(600_001), durationFromMs(-1), { seconds: 0n, nanos: 1 }]) {
    const { code, fields } = await refusalOf(plane.fleet.waitForRevision({ ...LOCAL, timeout }));
    assert.deepEqual([code, fields], ["INVALID_ARGUMENT", ["timeout"]]);
  }
});

Deno.test("WaitForRevision ends with its client", async () => {
  await using plane = await testControlPlane();
  const gone = new AbortController();
  const request = { ...LOCAL, revision: 1_000n, timeout: durationFromMs(600_000) };
  const waiting = plane.fleet.waitForRevision(request, { signal: gone.signal });
  await until("it is under way", () => plane.requests.taken === 1);
  gone.abort();
  assert.equal((await refusalOf(waiting)).code, "CANCELLED");
  await until("nobody waits any more", () => plane.requests.taken === 0);
  const late = plane.fleet.waitForRevision(request, { timeoutMs: 20 });
  assert.equal((await refusalOf(late)).code, "DEADLINE_EXCEEDED");
  await until("nobody waits any more", () => plane.requests.taken === 0);
});

Deno.test("ListFollowers lists a sidecar until it is forgotten, with when it was last heard of", async () => {
  const clock = new TestClock();
  await using plane = await testControlPlane({ clock });
  const { subscribe, next, call, ended } = watching(plane, { id: "host" });
  subscribe(1, ["b", "a"]);
  await next();
  const listed = async () => (await plane.fleet.listFollowers(LOCAL)).followers;
  const [connected] = await listed();
  assert.deepEqual([connected?.connected, connected?.scope?.services], [true, ["a", "b"]]);
  assert.equal(timestampMs(connected!.lastSeen!), clock.wall());
  const early = await refusalOf(plane.fleet.forgetFollower({ ...LOCAL, id: "host" }));
  assert.equal(early.code, "FAILED_PRECONDITION");
  call.end();
  await ended();
  assert.deepEqual((await listed()).map((one) => [one.follower?.id, one.connected]), [["host", false]]);
  const { revision } = await plane.fleet.forgetFollower({ ...LOCAL, id: "host" });
  assert.equal(revision, plane.ports.reading.position().revision);
  assert.deepEqual(await listed(), []);
  assert.equal((await refusalOf(plane.fleet.forgetFollower({ ...LOCAL, id: "host" }))).code, "NOT_FOUND");
  const wrong = await refusalOf(plane.fleet.forgetFollower({ realm: "L", options: { operationId: "x" } }));
  assert.deepEqual(wrong.fields, ["realm", "operationId", "id"]);
});

Deno.test("WaitForRevision misses a sidecar that is killed after another of its id said goodbye", async () => {
  await using plane = await testControlPlane();
  const onlooker = watching(plane, { id: "onlooker", kind: Follower_Kind.TOOL });
  onlooker.subscribe(1);
  onlooker.received((await onlooker.next()).part);
  const older = watching(plane, { id: "host" });
  older.subscribe(1);
  older.received((await older.next()).part);
  const newer = watching(plane, { id: "host" });
  newer.subscribe(1);
  newer.received((await newer.next()).part);
  // It is asked at once whether it is there; nobody else is.
  const everybody = onlooker.next().then(() => assert.fail("it was not asked"), () => assert.fail("it has ended"));
  older.received((await Promise.race([older.next(), everybody])).part);
  everybody.catch(() => {});
  onlooker.call.end();
  newer.say({ message: { case: "goodbye", value: {} } });
  await newer.ended();
  const failed = older.failure();
  older.call.cancel();
  await failed;
  const listed = async () => (await plane.fleet.listFollowers(LOCAL)).followers.map(({ connected }) => connected);
  for (let now = await listed(); now[0] !== false; now = await listed()) assert.deepEqual(now, [true]);
  const { verdict, laggards } = await plane.fleet.waitForRevision(LOCAL);
  assert.deepEqual([verdict, laggards.map(({ follower }) => follower?.id)], [WAITING, ["host"]]);
});

Deno.test("History streams what happened, oldest first", async () => {
  const clock = new TestClock();
  await using plane = await testControlPlane({ clock });
  const history = async (more: object = {}) => {
    const entries: HistoryResponse[] = [];
    for await (const entry of plane.fleet.history({ ...LOCAL, ...more })) entries.push(entry);
    return entries;
  };
  assert.deepEqual(await history(), []);
  const { revision } = await plane.register("a");
  clock.pass(1_000);
  const options = { reason: "why", operationId: "op-1" };
  await plane.registry.setEnabled({ ...LOCAL, service: "a", enabled: false, options });
  await plane.register("b");
  const [first, second, third] = await history();
  assert.deepEqual([first?.revision, first?.before, first?.after?.name], [revision, undefined, "a"]);
  assert.deepEqual([second?.reason, second?.operationId, second?.operation], ["why", "op-1", "set_enabled"]);
  assert.deepEqual([second?.before?.enabled, second?.after?.enabled], [true, false]);
  assert.equal(timestampMs(second!.time!), timestampMs(first!.time!) + 1_000);
  assert.equal(third?.after?.name, "b");
  assert.equal((await history({ service: "a" })).length, 2);
  assert.equal((await history({ after: revision })).length, 2);
  assert.deepEqual((await history({ limit: 1 })).map(({ after }) => after?.name), ["b"]);
  assert.deepEqual((await history({ operationId: "op-1" })).map(({ operation }) => operation), ["set_enabled"]);
  const wrong = await refusalOf(history({ realm: "L", service: "S", after: 2n ** 63n, operationId: "a b" }));
  assert.deepEqual(wrong.fields, ["realm", "service", "after", "operationId"]);
});

Deno.test("History ends where too much of it is on its way, and says so", async () => {
  await using parts = await testPorts();
  const metadata = { k: "v".repeat(4_000) };
  for (let port = 1; port <= 400; port++) {
    const instance = { host: "a", port, metadata };
    const request = create(RegisterRequestSchema, { ...LOCAL, service: "a", id: "i", instance });
    await execute(parts.ports, registerOrder(request) as Order);
  }
  const history = fleetHandlers(parts.ports, new Room(1 << 20, 1), new AbortController().signal)["history"];
  let written = 0;
  const call = Object.assign(new EventEmitter(), {
    request: create(HistoryRequestSchema, LOCAL),
    cancelled: false,
    getPeer: () => "127.0.0.1:1",
    write: (message: Uint8Array) => (written += message.length, true),
    end: () => assert.fail("it was told whole"),
  });
  const failed = once(call, "error");
  (history as (stream: unknown) => void)(call);
  const [{ code }] = await failed;
  assert.equal(code, status.RESOURCE_EXHAUSTED);
  assert.ok(written > 1 << 20 && written < 3 << 20, `${written} bytes`);
});

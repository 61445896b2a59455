import assert from "node:assert/strict";
import { Instance_Status } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { Follower_Kind } from "../proto/gen/portolan/v1/discovery_pb.ts";
import type { Fields, Log } from "../proto/log.ts";
import { follow, type Following, type Snapshot } from "./follow.ts";
import { KEEP_MS } from "./old_epoch.ts";
import type { Ports } from "./ports.ts";
import { TestClock } from "./testing/clock.ts";
import { serveFake } from "./testing/control_plane.ts";
import { at, hear, next, sessions } from "./testing/sessions.ts";

function following(address: string, kind: Follower_Kind, ports: Ports, log?: Log): Following {
  return follow({
    controlPlanes: [address],
    scope: { realm: "local", services: [] },
    follower: { id: "here", kind, program: "test/1", zone: "" },
    ...(log && { log }),
  }, ports);
}

const service = (name: string, ...ids: string[]) => ({
  name,
  instances: ids.map((id) => ({ id, status: Instance_Status.PASSING })),
});

function seen({ services }: Snapshot): readonly string[] {
  return [...services.values()].flatMap(({ name, instances }) =>
    instances.map(({ id, status }) => `${name}/${id} ${Instance_Status[status]}`)
  );
}

Deno.test("follow() of a sidecar routes on what a new epoch lacks, for 5 minutes", async () => {
  const clock = new TestClock();
  const open = sessions();
  await using server = await serveFake(open);
  await using follower = following(server.address, Follower_Kind.SIDECAR, clock);
  const snapshots = follower[Symbol.asyncIterator]();
  const session = await open.next();
  const { subscription } = await hear(session, "subscribe");
  session.send(subscription, {
    ...at(1n, 9n),
    complete: true,
    set: [service("a", "i1", "i2", "i3"), service("b", "b1")],
  });
  await next(snapshots);
  await hear(session, "received");

  session.send(subscription, { ...at(2n, 1n), complete: true, set: [service("a", "i1")] });
  const begun = await next(snapshots);
  assert.deepEqual(seen(begun), ["a/i1 PASSING", "a/i2 UNKNOWN", "a/i3 UNKNOWN", "b/b1 UNKNOWN"]);
  assert.deepEqual([...begun.changed].sort(), ["a", "b"]);
  assert.deepEqual([begun.position.epoch, begun.position.revision], [2n, 1n]);
  assert.equal((await hear(session, "received")).position?.epoch, 2n);
  follower.applied(begun.position);
  assert.equal((await hear(session, "applied")).position?.epoch, 2n);

  session.send(subscription, { ...at(2n, 2n), set: [service("a", "i1", "i2")] });
  assert.deepEqual(seen(await next(snapshots)), ["a/i1 PASSING", "a/i2 PASSING", "a/i3 UNKNOWN", "b/b1 UNKNOWN"]);
  session.send(subscription, { ...at(2n, 3n), set: [service("a", "i2")] });
  assert.deepEqual(seen(await next(snapshots)), ["a/i2 PASSING", "a/i3 UNKNOWN", "b/b1 UNKNOWN"]);

  (await clock.nap(KEEP_MS)).end();
  const after = await next(snapshots);
  assert.deepEqual(seen(after), ["a/i2 PASSING"]);
  assert.deepEqual([...after.changed].sort(), ["a", "b"]);
  assert.equal(after.position.revision, 3n);
});

Deno.test("follow() keeps for 5 minutes from the newest epoch on", async () => {
  const clock = new TestClock();
  const open = sessions();
  await using server = await serveFake(open);
  await using follower = following(server.address, Follower_Kind.SDK, clock);
  const snapshots = follower[Symbol.asyncIterator]();
  const session = await open.next();
  const { subscription } = await hear(session, "subscribe");
  session.send(subscription, { ...at(1n, 9n), complete: true, set: [service("a", "i1")] });
  await next(snapshots);
  session.send(subscription, { ...at(2n, 1n), complete: true });
  await next(snapshots);
  const first = await clock.nap(KEEP_MS);
  clock.pass(1_000);
  session.send(subscription, { ...at(3n, 1n), complete: true });
  await next(snapshots);
  const second = await clock.nap(KEEP_MS);
  first.end();
  session.send(subscription, { ...at(3n, 2n) });
  assert.deepEqual(seen(await next(snapshots)), ["a/i1 UNKNOWN"]);
  second.end();
  assert.deepEqual(seen(await next(snapshots)), []);
});

Deno.test("follow() of a tool shows what is there", async () => {
  const open = sessions();
  await using server = await serveFake(open);
  await using follower = following(server.address, Follower_Kind.TOOL, new TestClock());
  const snapshots = follower[Symbol.asyncIterator]();
  const session = await open.next();
  const { subscription } = await hear(session, "subscribe");
  session.send(subscription, { ...at(1n, 9n), complete: true, set: [service("a", "i1")] });
  await next(snapshots);
  session.send(subscription, { ...at(2n, 1n), complete: true });
  assert.deepEqual(seen(await next(snapshots)), []);
});

Deno.test("leave() says goodbye, and ends when the control plane has heard it", async () => {
  const clock = new TestClock();
  const open = sessions();
  await using server = await serveFake(open);
  const follower = following(server.address, Follower_Kind.SIDECAR, clock);
  const ended = follower[Symbol.asyncIterator]().next();
  const session = await open.next();
  await hear(session, "subscribe");
  const leaving = follower.leave();
  await hear(session, "goodbye");
  session.close();
  await leaving;
  assert.equal((await ended).done, true);
  assert.deepEqual(clock.begun, [2_000], "it wanted to come back");
});

Deno.test("leave() does not wait for long, and says that nobody heard", async () => {
  const lines: string[] = [];
  const line = (message: string, _?: Fields) => lines.push(message);
  const log = { info: line, warn: line, error: line };
  const clock = new TestClock();
  const open = sessions();
  await using server = await serveFake(open);
  const follower = following(server.address, Follower_Kind.SIDECAR, clock, log);
  const session = await open.next();
  await hear(session, "subscribe");
  const leaving = follower.leave();
  await hear(session, "goodbye");
  (await clock.nap(2_000)).end();
  await leaving;
  assert.equal((await session.heard.next()).done, true);

  const lost = following("127.0.0.1:9", Follower_Kind.SIDECAR, clock, log);
  await clock.nap(50);
  await lost.leave();
  assert.deepEqual(lines.filter((text) => text.startsWith("Nobody hears")).length, 2);
});

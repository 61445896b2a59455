import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import {
  Instance_Status,
  PositionSchema,
  type Service,
  ServiceSchema,
} from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { Follower_Kind } from "../proto/gen/portolan/v1/discovery_pb.ts";
import type { Fields, Log } from "../proto/log.ts";
import { follow, type Following, type SavedSnapshot, type Snapshot } from "./follow.ts";
import { KEEP_MS } from "./old_epoch.ts";
import { type Ports, REAL } from "./ports.ts";
import { TestClock } from "./testing/clock.ts";
import { serveFake } from "./testing/control_plane.ts";
import { at, hear, next, sessions } from "./testing/sessions.ts";

const SOON: Ports = { ...REAL, sleep: () => new Promise((resolve) => setTimeout(resolve, 1)) };
/** Nobody serves there. */
const NOWHERE = "127.0.0.1:9";

function following(
  controlPlanes: readonly string[],
  saved: SavedSnapshot | undefined,
  ports: Ports = SOON,
  log?: Log,
): Following {
  return follow({
    controlPlanes,
    scope: { realm: "local", services: [] },
    follower: { id: "here", kind: Follower_Kind.SIDECAR, program: "test/1", zone: "" },
    ...(saved && { saved }),
    ...(log && { log }),
  }, ports);
}

function service(name: string, ...ids: readonly string[]): Service {
  return create(ServiceSchema, { name, instances: ids.map((id) => ({ id, status: Instance_Status.PASSING })) });
}

function saved(epoch: bigint, revision: bigint, ...services: readonly Service[]): SavedSnapshot {
  return { position: create(PositionSchema, { epoch, revision }), services: byName(services) };
}

function byName(services: readonly Service[]): ReadonlyMap<string, Service> {
  return new Map(services.map((one) => [one.name, one]));
}

function seen({ services }: Pick<Snapshot, "services">): readonly string[] {
  return [...services.values()].flatMap(({ name, instances }) =>
    instances.map(({ id, status }) => `${name}/${id} ${Instance_Status[status]}`)
  );
}

Deno.test("follow() yields what was saved at once, and says that it is applied when there is somebody to hear", async () => {
  const open = sessions();
  await using server = await serveFake(open);
  const map = saved(3n, 7n, service("a", "i1"), service("b", "i2"));
  await using follower = following([NOWHERE, server.address], map);
  const snapshots = follower[Symbol.asyncIterator]();
  const first = await next(snapshots);
  assert.deepEqual([first.position.epoch, first.position.revision], [3n, 7n]);
  assert.deepEqual([[...first.changed], first.apart], [["a", "b"], undefined]);
  assert.equal(first.services, map.services, "nothing is copied");
  follower.applied(first.position);
  assert.deepEqual([follower.heardAt, follower.controlPlane], [undefined, undefined]);

  const session = await open.next();
  const { after, subscription } = await hear(session, "subscribe");
  assert.deepEqual([after?.epoch, after?.revision], [3n, 7n]);
  assert.equal((await hear(session, "applied")).position?.revision, 7n);
  session.send(subscription, { ...at(3n, 8n), set: [service("b", "i3")] });
  const second = await next(snapshots);
  assert.deepEqual([seen(second), [...second.changed]], [["a/i1 PASSING", "b/i3 PASSING"], ["b"]]);
});

Deno.test("follow() says who answers, and when it last heard that the map is up to date", async () => {
  const open = sessions();
  await using server = await serveFake(open);
  await using follower = following([server.address], saved(3n, 7n, service("a", "i1")));
  const session = await open.next();
  const { subscription } = await hear(session, "subscribe");
  assert.equal(follower.heardAt, undefined);
  // A bookmark, at the very position that was saved.
  const before = Date.now();
  session.send(subscription, at(3n, 7n));
  assert.equal((await hear(session, "received")).position?.revision, 7n);
  const heardAt = follower.heardAt ?? 0;
  assert.ok(before <= heardAt && heardAt <= Date.now(), `${heardAt} is not now`);
  assert.equal(follower.controlPlane, server.address);

  session.close(status.UNAVAILABLE);
  const again = await open.next();
  const resumed = await hear(again, "subscribe");
  // What was heard stays; who is asked has not answered.
  assert.deepEqual([follower.heardAt, follower.controlPlane], [heardAt, undefined]);
  again.send(resumed.subscription, { ...at(2n, 9n), complete: true });
  await hear(await open.next(), "subscribe");
  assert.equal(follower.heardAt, heardAt, "a map that is refused says nothing about the one that is held");
});

Deno.test("follow() goes on with what was saved where every control plane refuses for good", async () => {
  const open = sessions();
  let refusals = 0;
  await using server = await serveFake({
    watch: (session) => refusals++ < 5 ? session.close(status.PERMISSION_DENIED, "not you") : open.watch(session),
  });
  await using follower = following([server.address], saved(3n, 7n, service("a", "i1")));
  const snapshots = follower[Symbol.asyncIterator]();
  assert.deepEqual(seen(await next(snapshots)), ["a/i1 PASSING"]);
  const session = await open.next();
  session.send((await hear(session, "subscribe")).subscription, { ...at(3n, 8n), deleted: ["a"] });
  assert.deepEqual(seen(await next(snapshots)), []);
});

Deno.test("follow() does not go back behind what was saved", async () => {
  const reasons: string[] = [];
  const warn = (_: string, fields?: Fields) => void reasons.push(String(fields?.["reason"]));
  const open = sessions();
  await using server = await serveFake(open);
  const log: Log = { info() {}, warn, error: warn };
  await using follower = following([server.address], saved(3n, 7n, service("a", "i1")), SOON, log);
  const snapshots = follower[Symbol.asyncIterator]();
  await next(snapshots);
  for (const old of [at(2n, 9n), at(3n, 6n)]) {
    const session = await open.next();
    session.send((await hear(session, "subscribe")).subscription, { ...old, complete: true });
  }
  const session = await open.next();
  const { after, subscription } = await hear(session, "subscribe");
  assert.deepEqual([after?.epoch, after?.revision], [3n, 7n]);
  // Below the floor, the whole map comes again.
  session.send(subscription, { ...at(3n, 8n), complete: true, set: [service("b", "i2")] });
  const newer = await next(snapshots);
  assert.deepEqual([seen(newer), [...newer.changed].sort()], [["b/i2 PASSING"], ["a", "b"]]);
  assert.deepEqual(reasons, ["position 2.9 is before 3.7, which is held", "position 3.6 is before 3.7, which is held"]);
});

Deno.test("follow() routes on what was saved and a new epoch lacks, and tells the two apart", async () => {
  const clock = new TestClock();
  const open = sessions();
  await using server = await serveFake(open);
  await using follower = following([server.address], saved(3n, 7n, service("a", "i1", "i2")), clock);
  const snapshots = follower[Symbol.asyncIterator]();
  await next(snapshots);
  const session = await open.next();
  const { subscription } = await hear(session, "subscribe");
  session.send(subscription, { ...at(4n, 1n), complete: true, set: [service("a", "i2", "i3")] });
  const begun = await next(snapshots);
  assert.deepEqual(seen(begun), ["a/i1 UNKNOWN", "a/i2 PASSING", "a/i3 PASSING"]);
  assert.deepEqual(seen({ services: begun.apart?.map ?? new Map() }), ["a/i2 PASSING", "a/i3 PASSING"]);
  assert.deepEqual(seen({ services: begun.apart?.kept ?? new Map() }), ["a/i1 UNKNOWN"]);

  (await clock.nap(KEEP_MS)).end();
  const after = await next(snapshots);
  assert.deepEqual([seen(after), after.apart], [["a/i2 PASSING", "a/i3 PASSING"], undefined]);
});

Deno.test("follow() gives what was kept its 5 minutes again in the next process, whether anybody answers or not", async () => {
  const clock = new TestClock();
  const map = saved(4n, 1n, service("a", "i2"));
  const kept = byName([service("a", "i1"), service("b", "b1", "b2")]);
  await using lost = following([NOWHERE], { ...map, kept }, clock);
  const snapshots = lost[Symbol.asyncIterator]();
  const first = await next(snapshots);
  assert.deepEqual(seen(first), ["a/i1 PASSING", "a/i2 PASSING", "b/b1 PASSING", "b/b2 PASSING"]);
  assert.deepEqual([...first.changed].sort(), ["a", "b"]);
  assert.deepEqual([first.apart?.map, first.apart?.kept], [map.services, kept]);
  (await clock.nap(KEEP_MS)).end();
  const later = await next(snapshots);
  assert.deepEqual([seen(later), [...later.changed].sort()], [["a/i2 PASSING"], ["a", "b"]]);

  const open = sessions();
  await using server = await serveFake(open);
  await using found = following([server.address], { ...map, kept }, clock);
  const more = found[Symbol.asyncIterator]();
  await next(more);
  const session = await open.next();
  const { after, subscription } = await hear(session, "subscribe");
  assert.equal(after?.epoch, 4n, "they are no part of the map that is resumed");
  session.send(subscription, { ...at(4n, 2n), set: [service("b", "b1")] });
  const { apart } = await next(more);
  assert.deepEqual(seen({ services: apart?.kept ?? new Map() }), ["a/i1 PASSING", "b/b2 PASSING"]);
});

import assert from "node:assert/strict";
import { anonymous } from "../../control-plane/app/caller.ts";
import type { Hub } from "../../control-plane/app/hub.ts";
import { findService } from "../../control-plane/domain/cluster_map.ts";
import { serveGrpc } from "../../control-plane/transport/grpc.ts";
import { testControlPlane, testPorts } from "../../control-plane/transport/testing.ts";
import { type Instance, Instance_Status } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { Follower_Kind } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { formatAddress } from "../../proto/settings.ts";
import { turn } from "../../proto/testing/turn.ts";
import { follow, type Following } from "../../sdk-ts/follow.ts";
import { type Ports, REAL } from "../../sdk-ts/ports.ts";
import { register, type Registration } from "../../sdk-ts/register.ts";

/** Short: a test waits for one to run out. */
const TTL_MS = 2_000;

Deno.test("registrars share a lease; a lease that ran out while they were away is opened anew by them alone", async () => {
  await using plane = await testControlPlane();
  await using map = following(plane.target);
  const away = new Away();
  await using one = await registering(plane.target, "i1", away);
  await using two = await registering(plane.target, "i2", away);
  one.report("failing");
  await until(map, ([first, second]) => first?.status === Instance_Status.FAILING && second?.id === "i2");
  assert.equal(leases(plane.hub).size, 1);

  const { revision } = one;
  away.begin();
  await until(map, (all) => all.length === 0);
  away.end();
  await until(map, ([first, second]) => first?.status === Instance_Status.FAILING && second?.id === "i2");
  while (!one.alive || !two.alive) await turn();
  assert.ok(one.revision > revision);
  assert.equal(leases(plane.hub).size, 1);

  await one[Symbol.asyncDispose]();
  await until(map, (all) => all.length === 1 && all[0]?.id === "i2");
  await two[Symbol.asyncDispose]();
  await until(map, (all) => all.length === 0);
});

Deno.test("what was let go while its registrar was silent comes back under its lease; what drains goes on to", async () => {
  await using plane = await testControlPlane();
  await using map = following(plane.target);
  const away = new Away();
  await using one = await registering(plane.target, "i1", away);
  await using two = await registering(plane.target, "i2", away);
  const { revision } = one;
  const target = { realm: "local", service: "identity" };
  await plane.registry.drain({ ...target, id: "i1" });
  await plane.registry.deregister({ ...target, id: "i2" });
  await until(map, ([first, second]) => first?.draining === true && !second);
  away.leap(TTL_MS);
  await until(map, ([first, second]) => first?.draining === true && second?.id === "i2");
  while (!one.alive || !two.alive) await turn();
  assert.deepEqual([leases(plane.hub).size, one.revision], [1, revision]);
});

Deno.test("what a store that was put back does not know comes back under the lease that it knows", async () => {
  await using plane = await testControlPlane();
  await using map = following(plane.target);
  const away = new Away();
  await using one = await registering(plane.target, "i1", away);
  await using two = await registering(plane.target, "i2", away);
  const { revision } = one;
  const lease = leases(plane.hub);
  await until(map, ([, second]) => second?.id === "i2");
  // As a backup has it that was made before the second one came.
  await plane.registry.deregister({ realm: "local", service: "identity", id: "i2" });
  await until(map, (all) => all.length === 1);
  await plane.ports.operations.beginEpoch(anonymous(undefined, "put back"));
  await until(map, ([, second]) => second?.id === "i2");
  while (!one.alive || !two.alive) await turn();
  assert.deepEqual([leases(plane.hub), one.revision], [lease, revision]);
});

Deno.test("a store that begins anew empties no host: all is routed on until its registrars are back", async () => {
  const away = new Away();
  const old = await testPorts();
  const serving = await serveGrpc(old.ports, { host: "127.0.0.1", port: 0 });
  const { address } = serving;
  const target = formatAddress(address);
  await using map = following(target);
  await using registration = await registering(target, "i1", away);
  registration.report("passing");
  await until(map, ([first]) => first?.status === Instance_Status.PASSING);
  away.begin();
  await serving[Symbol.asyncDispose]();
  await old[Symbol.asyncDispose]();

  await using empty = await testPorts();
  await using _ = await serveGrpc(empty.ports, address);
  await until(map, ([first]) => {
    assert.equal(first?.id, "i1");
    return first.status === Instance_Status.UNKNOWN;
  });
  away.end();
  await until(map, ([first]) => first?.status === Instance_Status.PASSING);
  await registration[Symbol.asyncDispose]();
});

Deno.test("who leaves is off the roster; who only ends is a laggard", async () => {
  await using plane = await testControlPlane();
  const roster = async () =>
    (await plane.fleet.listFollowers({ realm: "local" })).followers.map(({ follower }) => follower?.id);
  for (const [id, leaves] of [["stays", false], ["leaves", true]] as const) {
    await using map = following(plane.target, id);
    await until(map, () => true);
    assert.ok((await roster()).includes(id));
    if (leaves) await map.leave();
  }
  assert.deepEqual(await roster(), ["stays"]);
});

/** Time for registrars: none passes while they are away, so that they are silent. */
class Away implements Ports {
  readonly random = REAL.random;
  readonly now = () => REAL.now() + this.#leaptMs;
  #leaptMs = 0;
  #back: PromiseWithResolvers<void> | undefined;

  begin(): void {
    this.#back = Promise.withResolvers();
  }

  end(): void {
    this.#back?.resolve();
    this.#back = undefined;
  }

  /** So much time is gone at once. */
  leap(ms: number): void {
    this.#leaptMs += ms;
  }

  readonly sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
    await REAL.sleep(ms, signal);
    if (!signal.aborted) await this.#back?.promise;
  };
}

function registering(controlPlane: string, id: string, ports: Ports): Promise<Registration> {
  const instance = { host: "127.0.0.1", port: 8080, ttlMs: TTL_MS };
  return register({ controlPlanes: [controlPlane], realm: "local", service: "identity", id, instance }, ports);
}

/** What holds the instances of the service that registrars speak of. */
function leases(hub: Hub): ReadonlySet<string | undefined> {
  const service = findService(hub.current(), "local" as never, "identity" as never);
  return new Set(service?.instances.map(({ lease }) => lease));
}

function following(controlPlane: string, id = "host-1"): Following {
  return follow({
    controlPlanes: [controlPlane],
    scope: { realm: "local", services: [] },
    follower: { id, kind: Follower_Kind.SIDECAR, program: "test/1", zone: "" },
  });
}

/** Waits until the instances that a follower routes to are as they should be. */
async function until(map: Following, holds: (instances: readonly Instance[]) => boolean): Promise<void> {
  for await (const { services } of map) {
    if (holds([...services.values()].flatMap(({ instances }) => instances))) return;
  }
  assert.fail("the map is not followed any more");
}

import assert from "node:assert/strict";
import { join } from "node:path";
import { Follower_Kind } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { follow, type Following } from "../../sdk-ts/follow.ts";
import { register } from "../../sdk-ts/register.ts";
import { Connection } from "../bench/connection.ts";
import { putInstance } from "../bench/control_plane.ts";
import { defineFault } from "./fault.ts";
import type { Figure } from "./figures.ts";
import { Hosts } from "./hosts.ts";
import { LiveMap, type Services } from "./live_map.ts";
import { type Plane, startPlane } from "./plane.ts";
import { temporaryFolder } from "./temporary_folder.ts";

interface Sizes {
  /** At least so long; as long as it takes until everybody has noticed. */
  readonly stopMs: number;
  readonly hosts: number;
  readonly ttlMs: number;
}

/** Of a client's channel: a ping after so long, given up after so long without an answer. */
const KEEPALIVE_MS = 10_000 + 5_000;
/** The SDK gives up on one try of a write. */
const TRY_MS = 5_000;
const SLACK_MS = 2_000;

/**
 * The other control plane that clients know is one over a backup of the store: one file has one control plane. What is
 * shown is that clients move on and back, not that both have one map.
 */
export const stopped = defineFault<Sizes>({
  name: "F2",
  fault: "the control plane stands still (SIGSTOP) with all of its connections",
  promise: "clients move on within keepalive and timeout, 15 s; when it goes on nothing is lost and no lease has ended",
  small: { stopMs: 0, hosts: 4, ttlMs: 1_000 },
  full: { stopMs: 30_000, hosts: 40, ttlMs: 5_000 },
  run,
});

async function run({ stopMs, hosts: count, ttlMs }: Sizes): Promise<readonly Figure[]> {
  await using used = new AsyncDisposableStack();
  const first = used.use(await started(used));
  await first.call("/realms/local/services/a/instances/before", "PUT", INSTANCE);
  const second = used.use(await startOver(first, used));
  const two = used.use(followAll([first, second]));
  const one = used.use(followAll([first]));
  await Promise.all([two, one].map((following) => has(following, "before")));
  const hosts = used.use(new Hosts({ grpc: first.grpc, ttlMs }));
  for (let n = 0; n < count; n++) await hosts.add(`host-${n}`, 2, 1);
  let blamed = 0;
  used.use(new LiveMap(first.grpc, "local", (services) => blamed = Math.max(blamed, silentIn(services, 2 * count))));
  const connection = used.use(await Connection.open(first.http));

  first.signal("SIGSTOP");
  const begun = performance.now();
  const since = () => Math.round(performance.now() - begun);
  const written = connection.must(putInstance("a", "meanwhile", INSTANCE));
  const [movedMs, noticedMs, registeredMs] = await Promise.all([
    moved(two, second).then(since),
    disconnected(one).then(since),
    registers([first, second]).then(since),
  ]);
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, stopMs - since())));
  first.signal("SIGCONT");
  const goesOn = performance.now();
  // What was asked for while it stood still is done, and the follower who has nobody else comes back.
  await written;
  await has(one, "meanwhile");
  const backMs = Math.round(performance.now() - goesOn);
  await new Promise((resolve) => setTimeout(resolve, 2 * ttlMs));
  assert.equal(hosts.over.size, 0, "a lease ended while the control plane stood still");
  assert.equal(blamed, 0, "instances were held or removed though the control plane could not hear their hosts");
  for (const ms of [movedMs, noticedMs]) assert.ok(ms <= KEEPALIVE_MS + SLACK_MS, `noticed after ${ms} ms`);
  assert.ok(registeredMs <= TRY_MS + SLACK_MS, `registered after ${registeredMs} ms`);
  return [
    { name: "stood still, s", value: Math.round((goesOn - begun) / 1_000) },
    { name: "a follower has moved on after, ms", value: movedMs, most: KEEPALIVE_MS },
    { name: "one with nowhere to go says so after, ms", value: noticedMs, most: KEEPALIVE_MS },
    { name: "a registrar has moved on after, ms", value: registeredMs, most: TRY_MS + 1_000 },
    { name: "the follower is back after, ms", value: backMs, most: 5_000 },
    { name: "leases that ended", value: hosts.over.size, most: 0 },
  ];
}

const INSTANCE = { host: "127.0.0.1", port: 8080 };

async function started(used: AsyncDisposableStack): Promise<Plane> {
  const { path } = used.use(await temporaryFolder());
  return await startPlane({ folder: path });
}

/** Another control plane, over a backup of the store of the first. */
async function startOver(first: Plane, used: AsyncDisposableStack): Promise<Plane> {
  const { path } = used.use(await temporaryFolder());
  const backup = await fetch(`http://127.0.0.1:${first.http}/api/v1/backup`);
  await Deno.writeFile(join(path, "map.sqlite"), await backup.bytes());
  return await startPlane({ folder: path });
}

/** Instances of hosts that are held, or missing. */
function silentIn(services: Services, expected: number): number {
  const instances = services.get("s0")?.instances ?? [];
  return expected - instances.filter(({ held }) => !held).length;
}

function followAll(planes: readonly Plane[]): Following {
  return follow({
    controlPlanes: planes.map(({ grpc }) => grpc),
    scope: { realm: "local", services: [] },
    follower: { id: `knows-${planes.length}`, kind: Follower_Kind.SDK, program: "faults/1", zone: "" },
  });
}

/** Resolves once the follower has this instance. */
async function has(following: Following, id: string): Promise<void> {
  for await (const { services } of following) {
    if (services.get("a")?.instances.some((instance) => instance.id === id)) return;
  }
}

/** Resolves once the follower has what only the other control plane can tell. */
async function moved(following: Following, second: Plane): Promise<void> {
  await second.call("/realms/local/services/a/instances/moved", "PUT", INSTANCE);
  await has(following, "moved");
}

async function disconnected(following: Following): Promise<void> {
  // It has no event for it.
  while (following.connected) await new Promise((resolve) => setTimeout(resolve, 20));
}

async function registers(planes: readonly Plane[]): Promise<void> {
  const controlPlanes = planes.map(({ grpc }) => grpc);
  const options = { controlPlanes, realm: "local", service: "a", id: "registrar", instance: INSTANCE };
  await using _registration = await register(options);
}

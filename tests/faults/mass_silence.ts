import assert from "node:assert/strict";
import { type Instance, Instance_Status } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { ROOT } from "../scenario/testing/program.ts";
import { defineFault } from "./fault.ts";
import type { Figure } from "./figures.ts";
import { type Host, Hosts } from "./hosts.ts";
import { LiveMap, type Services } from "./live_map.ts";
import { type Plane, startPlane } from "./plane.ts";
import { type Chance, someOf } from "./seed.ts";
import { temporaryFolder } from "./temporary_folder.ts";

interface Sizes {
  readonly hosts: number;
  /** On each. */
  readonly instances: number;
  readonly services: number;
  readonly ttlMs: number;
}

export const massSilence = defineFault<Sizes>({
  name: "F22",
  fault:
    "half of the hosts fall silent; some come back, the others are let go by an operator; one instance crashes alone",
  promise:
    "nothing is removed, all of it is shown as held, it ends by itself; who crashed alone is gone within its TTL",
  small: { hosts: 20, instances: 5, services: 4, ttlMs: 1_200 },
  full: { hosts: 200, instances: 10, services: 100, ttlMs: 5_000 },
  run,
});

/** The control plane looks at its leases twice a second at least. */
const LOOK_MS = 500;
/** For a machine that does other things too. */
const SLACK_MS = 3_000;

async function run({ hosts: count, instances, services, ttlMs }: Sizes, chance: Chance): Promise<readonly Figure[]> {
  await using folder = await temporaryFolder();
  await using plane = await startPlane({ folder: folder.path });
  using hosts = new Hosts({ grpc: plane.grpc, ttlMs });
  let least = Infinity;
  using map = new LiveMap(plane.grpc, "local", (services) => least = Math.min(least, all(services).length));
  await Promise.all(Array.from({ length: count }, (_, n) => hosts.add(`host-${n}`, instances, services)));
  const crowd = [...hosts.all];
  const [first, second] = [await hosts.add("alone", 1, services), await hosts.add("alone-too", 1, services)];
  const total = count * instances;
  await map.until("all are there", (services) => all(services).length === total + 2, SLACK_MS);

  const goneMs = await crash(hosts, map, first, ttlMs);
  // Away for longer than any lease: nobody is to blame for silence.
  await plane.end("SIGKILL");
  await pause(1.2 * ttlMs);
  await plane.revive();
  least = Infinity;
  const silent = crowd.filter((_, n) => n % 2 === 0);
  const heldMs = await fallSilent(hosts, map, silent, ttlMs);
  const removed = total + 1 - least;
  assert.equal(removed, 0, "something was removed though too many were silent");
  assert.equal(held(map.services).length, silent.length * instances, "one is held that was never silent");
  // Somebody may crash alone all the same.
  await crash(hosts, map, second, ttlMs);

  const back = someOf(chance, silent.slice(1));
  const left = (silent.length - back.length) * instances;
  hosts.silence(back, false);
  await map.until("who came back is not held", (services) => held(services).length === left, ttlMs + SLACK_MS);
  await letGo(plane, left);
  await map.until("what was let go is gone", (services) => all(services).length === total - left, SLACK_MS);
  await pause(ttlMs);
  assert.equal(all(map.services).length, total - left);
  const beating = crowd.filter((host) => !host.silent && hosts.over.has(host.lease));
  assert.deepEqual(beating, [], "the lease of one that beat has ended");
  return [
    { name: "instances", value: total },
    { name: "fell silent at once", value: silent.length * instances },
    { name: "removed", value: removed, most: 0 },
    { name: "came back", value: back.length * instances },
    { name: "let go by an operator", value: left },
    { name: "TTL, ms", value: ttlMs },
    { name: "shown as held after, ms", value: Math.round(heldMs), most: 2 * ttlMs + LOOK_MS },
    {
      name: "gone after the last beat of one that crashed alone, ms",
      value: Math.round(goneMs),
      most: ttlMs + LOOK_MS,
    },
  ];
}

/** All of them at once; answers with how long it took until all were held, and sees to it that they stay so. */
async function fallSilent(hosts: Hosts, map: LiveMap, silent: readonly Host[], ttlMs: number): Promise<number> {
  hosts.silence(silent);
  const begun = performance.now();
  await map.until("all silent ones are held", (services) => isHeld(services, silent), 2 * ttlMs + LOOK_MS + SLACK_MS);
  const heldMs = performance.now() - begun;
  await pause(2 * ttlMs);
  assert.ok(isHeld(map.services, silent), "what was held is not held any more");
  for (const one of held(map.services)) assert.equal(one.status, Instance_Status.UNKNOWN);
  return heldMs;
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** Silences a host that others do not follow; answers with how long after its last beat its instance was gone. */
async function crash(hosts: Hosts, map: LiveMap, host: Host, ttlMs: number): Promise<number> {
  hosts.silence([host]);
  const is = (services: Services) => !all(services).some(({ hostId }) => hostId === host.name);
  await map.until(`${host.name} is gone`, is, ttlMs + LOOK_MS + SLACK_MS);
  return performance.now() - host.lastBeat;
}

/** As an operator does it. */
async function letGo({ grpc }: Plane, expected: number): Promise<void> {
  const args = ["deregister", "--held", "--realm", "local", "--control-plane", grpc, "--output", "json"];
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--cached-only", "-P=cli", "cli/main.ts", ...args, "--reason", "they are gone"],
    cwd: ROOT,
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  assert.equal(JSON.parse(new TextDecoder().decode(stdout)).released, expected);
}

function all(services: Services): readonly Instance[] {
  return [...services.values()].flatMap(({ instances }) => instances);
}

function held(services: Services): readonly Instance[] {
  return all(services).filter((instance) => instance.held);
}

function isHeld(services: Services, hosts: readonly Host[]): boolean {
  const names = new Set(hosts.map(({ name }) => name));
  const theirs = all(services).filter(({ hostId }) => names.has(hostId));
  return theirs.length > 0 && theirs.every((instance) => instance.held);
}

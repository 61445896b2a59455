import assert from "node:assert/strict";
import type { Service } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Host } from "../scenario/testing/host.ts";
import { now } from "../traffic/clock.ts";
import { assertConverged, assertRouted, readMap } from "./convergence.ts";
import { defineFault } from "./fault.ts";
import { type Figure, Tally } from "./figures.ts";
import { assertExcused, type Outage, Prober } from "./outage.ts";
import { type Chance, fork } from "./seed.ts";
import { Changes, SENDERS_WITHOUT_GRPC, startServed, startTrafficTo } from "./served.ts";

interface Sizes {
  /** How long the control plane is gone. */
  readonly seconds: number;
  /** Of the sidecar meanwhile, in turns alone and together with HAProxy. */
  readonly restarts: number;
  /** Of short requests. */
  readonly perSecond: number;
}

export const withoutControlPlane = defineFault<Sizes>({
  name: "F3",
  fault: "the control plane is gone, and the sidecar is restarted meanwhile, alone and together with HAProxy",
  promise: "0 failed requests while HAProxy runs; what was applied last is served to the letter, and its age is told",
  small: { seconds: 4, restarts: 4, perSecond: 200 },
  full: { seconds: 3_600, restarts: 120, perSecond: 200 },
  run,
});

async function run({ seconds, restarts, perSecond }: Sizes, chance: Chance): Promise<readonly Figure[]> {
  await using served = await startServed({ haproxyOutlives: true });
  const { host } = served;
  await using traffic = await startTrafficTo(served, chance, { senders: SENDERS_WITHOUT_GRPC, perSecond });
  const changes = new Changes(served, fork(chance));
  for (let n = 0; n < 10; n++) await changes.write();
  while (changes.switchedOff.size === 0) await changes.switch();
  await host.applied();
  const off = { since: now(), ids: [...changes.switchedOff] };
  const alone = await Alone.begin(host);
  const first = chance.below(CASES.length);
  for (let n = 0; n < restarts; n++) {
    await alone.restart(CASES[(first + n) % CASES.length]!);
    const due = alone.since + (n + chance.below(100) / 100) * seconds * 1_000 / restarts;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - now())));
  }
  await alone.look();
  const until = now();
  await host.reviveControlPlane();
  await changes.write();
  await host.applied();
  await assertConverged(host);
  assert.equal((await host.state()).map.from, "control plane");
  const verdict = await traffic.stop();
  const astray = off.ids.flatMap((id) => verdict.routedTo(id, off.since, until));
  assert.deepEqual(astray.slice(0, 20), [], "sent to an instance that was off");
  return [
    { name: "without a control plane, s", value: Math.round((until - alone.since) / 1_000) },
    ...alone.tally.figures(),
    { name: "requests", value: verdict.sent },
    ...assertExcused(verdict, alone.outages),
    { name: "requests that were sent to an instance that was off", value: astray.length, most: 0 },
  ];
}

/** By which signal a sidecar ends, and whether HAProxy is killed with it. */
const CASES = [
  { signal: "SIGTERM", together: false },
  { signal: "SIGKILL", together: true },
  { signal: "SIGKILL", together: false },
  { signal: "SIGTERM", together: true },
] as const;

/** A host whose control plane is gone. */
class Alone {
  readonly tally = new Tally();
  readonly outages: Outage[] = [];

  private constructor(
    private readonly host: Host,
    /** In ms since 1970. */
    readonly since: number,
    private readonly services: readonly Service[],
    private readonly revision: bigint,
  ) {}

  /** At once: what has been applied a moment ago is not in the saved map yet. */
  static async begin(host: Host): Promise<Alone> {
    const services = await readMap(host);
    const { applied } = (await host.state()).map;
    await host.killControlPlane();
    return new Alone(host, now(), services, BigInt(applied?.revision ?? 0));
  }

  async restart({ signal, together }: typeof CASES[number]): Promise<void> {
    const { host } = this;
    const { workerPid } = (await host.state()).haproxy;
    await host.endSidecar(signal);
    if (together) {
      const from = now();
      await host.killHaproxy();
      await using prober = new Prober(host.egressPort, "identity");
      await host.reviveSidecar();
      const to = await prober.back();
      this.outages.push({ from, to });
      this.tally.peak("longest until sidecar and HAProxy serve again, ms", to - from);
    } else {
      await host.reviveSidecar();
      const { haproxy } = await host.state();
      assert.deepEqual([haproxy.workerPid, haproxy.adopted], [workerPid, true], "another HAProxy runs");
    }
    this.tally.count(together ? "restarts of the sidecar with HAProxy" : "restarts of the sidecar alone");
    await this.look();
  }

  /** Fails unless what was applied last is served, and the sidecar says how old that is. */
  async look(): Promise<void> {
    const { host, services, since, revision } = this;
    assert.deepEqual(await host.ready(), { ready: true, reasons: [] });
    await assertRouted(host, services);
    const { map } = await host.state();
    const goneMs = now() - since;
    if (map.applied) assert.ok(BigInt(map.applied.revision) >= revision, `${map.applied.revision} after ${revision}`);
    assert.ok(map.ageMs > goneMs - SLACK_MS, `the map is said to be ${map.ageMs} ms old after ${goneMs} ms`);
    this.tally.peak("age of the map, told as longer than the control plane is gone, ms", map.ageMs - goneMs);
  }
}

/** Between the clocks of two processes. */
const SLACK_MS = 100;

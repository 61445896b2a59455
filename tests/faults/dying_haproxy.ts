import assert from "node:assert/strict";
import { join } from "node:path";
import { MASTER_SOCKET } from "../../sidecar/config/names.ts";
import { type Processes, processes } from "../../sidecar/haproxy/master.ts";
import type { Host } from "../scenario/testing/host.ts";
import { now } from "../traffic/clock.ts";
import { assertConverged } from "./convergence.ts";
import { defineFault } from "./fault.ts";
import { type Figure, Tally } from "./figures.ts";
import { assertExcused, isWithin, type Outage, Prober } from "./outage.ts";
import { type Chance, fork } from "./seed.ts";
import { Changes, SENDERS_WITHOUT_GRPC, startServed, startTrafficTo } from "./served.ts";

interface Sizes {
  readonly kills: number;
  /** Of short requests. */
  readonly perSecond: number;
  readonly streamMs: number;
}

export const dyingHaproxy = defineFault<Sizes>({
  name: "F6",
  fault: "HAProxy's worker, its master, or both are killed, while the map changes, under load",
  promise: "200 again within 1 s, and 0 failed requests but for those in that time; then HAProxy is as the map says",
  small: { kills: 6, perSecond: 200, streamMs: 500 },
  full: { kills: 120, perSecond: 1_000, streamMs: 2_000 },
  run,
});

const CASES = (["own", "adopted"] as const).flatMap((whose) =>
  (["worker", "master", "both"] as const).map((victim) => ({ whose, victim }))
);
type Victim = typeof CASES[number]["victim"];

async function run({ kills, perSecond, streamMs }: Sizes, chance: Chance): Promise<readonly Figure[]> {
  await using served = await startServed({ haproxyOutlives: true });
  const { host } = served;
  await using traffic = await startTrafficTo(served, chance, { senders: SENDERS_WITHOUT_GRPC, perSecond, streamMs });
  await using prober = new Prober(host.egressPort, "identity");
  await prober.back();
  const changes = new Changes(served, fork(chance));
  const outages: Outage[] = [];
  const tally = new Tally();
  const first = chance.below(CASES.length);
  for (let n = 0; n < kills; n++) {
    const { whose, victim } = CASES[(first + n) % CASES.length]!;
    if (whose === "adopted") {
      await host.endSidecar("SIGKILL");
      await host.reviveSidecar();
    }
    assert.equal((await host.state()).haproxy.adopted, whose === "adopted");
    // Not seen applied: it may be anywhere on its way.
    await (chance.oneIn(4) ? changes.reloading() : changes.write());
    await new Promise((resolve) => setTimeout(resolve, chance.below(20)));
    const { gone, from } = await kill(host, victim);
    await changes.write();
    await others(host, gone);
    await host.applied();
    await assertConverged(host);
    // Only now: until here HAProxy might have failed once more.
    const to = Math.max(from, await prober.back());
    outages.push({ from, to });
    tally.peak(`longest until 200, ${victim} of ${whose} HAProxy, ms`, to - from);
  }
  const verdict = await traffic.stop();
  assert.deepEqual(prober.failed.filter((one) => !isWithin(one, outages)), []);
  return [
    { name: "kills", value: kills },
    { name: "longest until 200, ms", value: Math.max(...outages.map(({ from, to }) => to - from)), most: 1_000 },
    ...tally.figures(),
    { name: "requests", value: verdict.sent },
    ...assertExcused(verdict, outages),
  ];
}

interface Killed {
  /** Processes. */
  readonly gone: readonly number[];
  /** When, in ms since 1970. */
  readonly from: number;
}

async function kill(host: Host, victim: Victim): Promise<Killed> {
  const { master, workers } = await asked(host);
  const gone = [...(victim === "worker" ? [] : [master]), ...(victim === "master" ? [] : workers)];
  const from = now();
  for (const pid of gone) Deno.kill(pid, "SIGKILL");
  return { gone, from };
}

/** Resolves once others run in place of these. */
async function others(host: Host, gone: Killed["gone"]): Promise<void> {
  for (;;) {
    const { master, workers } = await asked(host);
    if (workers.length > 0 && ![master, ...workers].some((pid) => gone.includes(pid))) return;
  }
}

/** Again and again while no master listens. */
async function asked({ dataFolder }: Host): Promise<Processes> {
  for (;;) {
    try {
      return await processes(join(dataFolder, "sidecar", MASTER_SOCKET));
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

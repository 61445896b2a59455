import assert from "node:assert/strict";
import type { Host } from "../scenario/testing/host.ts";
import { now } from "../traffic/clock.ts";
import type { Verdict } from "../traffic/traffic.ts";
import { assertConverged } from "./convergence.ts";
import { defineFault } from "./fault.ts";
import type { Figure } from "./figures.ts";
import { type Chance, fork } from "./seed.ts";
import { ALL_SENDERS, Changes, startServed, startTrafficTo } from "./served.ts";

interface Sizes {
  readonly changes: number;
  /** Those of them that HAProxy has to be reloaded for. */
  readonly reloads: number;
  /** Of short requests; streams and WebSockets come on top. */
  readonly perSecond: number;
  readonly streamMs: number;
  /** At least so many requests are sent, also when all changes are done. */
  readonly requests: number;
}

export const changingMap = defineFault<Sizes>({
  name: "F7",
  fault: "the map changes, over and over, with reloads among it, under mixed load",
  promise:
    "0 failed, lost or doubled requests; nobody is sent to an instance after its `disable` is reported applied; in the end HAProxy is as the map says",
  small: { changes: 40, reloads: 4, perSecond: 300, streamMs: 3_000, requests: 0 },
  full: { changes: 1_000, reloads: 100, perSecond: 2_000, streamMs: 20_000, requests: 1_000_000 },
  run,
});

async function run(
  { changes, reloads, perSecond, streamMs, requests }: Sizes,
  chance: Chance,
): Promise<readonly Figure[]> {
  await using served = await startServed();
  const { host } = served;
  const before = (await host.state()).reloads.count;
  await using traffic = await startTrafficTo(served, chance, { senders: ALL_SENDERS, perSecond, streamMs });
  const changing = new Changing(host, new Changes(served, fork(chance)));
  for (let n = 0; n < changes; n++) {
    const every = Math.floor(changes / reloads);
    await changing.change(n % every === every - 1);
  }
  await assertConverged(host);
  await traffic.until(({ sent }) => sent >= requests);
  const { reloads: done, haproxy } = await host.state();
  const verdict = await traffic.stop();
  assert.deepEqual(verdict.problems, [], verdict.text);
  const astray = changing.off.flatMap(({ id, from, to }) => verdict.routedTo(id, from, to));
  assert.deepEqual(astray, [], `sent to an instance that was off:\n${JSON.stringify(astray.slice(0, 20))}`);
  assert.ok(done.count - before >= reloads, `only ${done.count - before} reloads`);
  return [
    { name: "changes", value: changes },
    { name: "reloads", value: done.count - before },
    ...figuresOf(verdict),
    { name: "times that an instance was off", value: changing.off.length },
    { name: "requests that were sent to one that was off", value: astray.length, most: 0 },
    { name: "streams cut at the limit of an old worker", value: haproxy.longStreamsCut, most: 0 },
  ];
}

function figuresOf({ sent, failed, perSecond, kinds }: Verdict): readonly Figure[] {
  return [
    { name: "requests", value: sent },
    { name: "requests/s", value: perSecond },
    { name: "failed, lost, doubled, misrouted", value: failed, most: 0 },
    ...Object.entries(kinds).map(([kind, { ok, left }]) => ({ name: `${kind}: whole`, value: ok + left })),
    {
      name: "resent, as certainly not processed",
      value: Object.values(kinds).reduce((sum, one) => sum + one.resent, 0),
    },
  ];
}

interface Off {
  readonly id: string;
  /** In ms since 1970: its `disable` was reported applied, and it was about to be enabled. */
  readonly from: number;
  to: number;
}

/** Writes to the map, each of which is seen applied before the next. */
class Changing {
  readonly off: Off[] = [];

  constructor(private readonly host: Host, private readonly changes: Changes) {}

  /** One change, or one of those that cost a reload. */
  async change(reloading: boolean): Promise<void> {
    const { changes, host } = this;
    const [wasOff, begun] = [new Set(changes.switchedOff), now()];
    // Together with a switch: what is off right after a reload is off for old connections, too.
    if (reloading) await Promise.all([changes.reloading(), changes.switch()]);
    else await changes.write();
    await host.applied();
    for (const off of this.off) if (!changes.switchedOff.has(off.id)) off.to = Math.min(off.to, begun);
    for (const id of changes.switchedOff) if (!wasOff.has(id)) this.off.push({ id, from: now(), to: Infinity });
  }
}

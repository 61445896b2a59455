import assert from "node:assert/strict";
import { type Chance, fork, SEED_VARIABLE, seedOfRun, withSeed } from "../faults/seed.ts";
import { type Hosts, type Judged, startHosts } from "./hosts.ts";
import { networkTest } from "./permitted.ts";
import type { RigHost } from "./rig_host.ts";

const TTL_MS = 3_000;
/** Both ends of a connection ping after 10 s, and give it up 5 s later. */
const KEEPALIVE_MS = 10_000 + 5_000;
const SLACK_MS = 2_000;
const ZONES = { a: 2, b: 2, c: 1 };
const NAMES = ["a1", "a2", "b1", "b2", "c1"];
const LOAD = { perSecond: 50, slowMs: 200, patienceMs: 8_000 };

networkTest(
  "five hosts in three zones: cut off, healed, a sidecar replaced: no request fails that had a living instance",
  async () => {
    const seed = seedOfRun();
    const replay = `${SEED_VARIABLE}=${seed} ./portolan test tests/netns/hosts_test.ts`;
    await using used = new AsyncDisposableStack();
    await withSeed({ seed, replay, withinMs: 120_000 }, (chance) => run(chance, new Story(`seed ${seed}`), used));
  },
);

async function run(chance: Chance, story: Story, used: AsyncDisposableStack): Promise<void> {
  const [deaf, lonely, upgraded, friend] = shuffled(chance, NAMES) as [string, string, string, string];
  const hosts = used.use(
    await startHosts({
      zones: ZONES,
      services: {
        everywhere: {},
        "everywhere-ttl": { ttlMs: TTL_MS },
        pair: { on: [lonely, friend] },
        "pair-ttl": { on: [lonely, friend], ttlMs: TTL_MS },
        lone: { on: [lonely] },
      },
    }),
  );
  await hosts.converged();
  await hosts.call({ ...LOAD, services: [...hosts.placed.keys()] }, () => fork(chance).below(2 ** 32));
  story.tell("all call all");
  await load(hosts);
  await cutOffFromControlPlane(hosts, hosts.host(deaf), story);
  await cutOff(hosts, hosts.host(lonely), story);
  await replaceSidecar(hosts, hosts.host(upgraded), story);
  await load(hosts);
  const judged = await hosts.end();
  story.tell(`all is judged: ${figures(judged, lonely)}`);
  assertPromised(judged, lonely);
  hosts.plane.assertNoFaults();
}

/** It goes on by its map, is named as the one that lags, and has what was changed meanwhile once it is healed. */
async function cutOffFromControlPlane(hosts: Hosts, host: RigHost, story: Story): Promise<void> {
  const { plane } = hosts;
  await hosts.cut(host, "control plane");
  await plane.call("PUT", "/services/everywhere/aliases/live", { version: 1 });
  await plane.call("POST", `/services/everywhere/instances/${host.name}:disable`);
  await plane.call("PUT", "/services/late/instances/i", { host: host.wire.address, port: 9 });
  await lags(hosts, host);
  // Its instances with a ttl are let go, though everybody reaches them.
  await until(async () => (await plane.enabled()).get("everywhere-ttl")?.size === NAMES.length - 1);
  await load(hosts);
  const routes = await host.routes();
  assert.equal(routes.get("everywhere")?.size, NAMES.length);
  assert.ok(!routes.has("late"));
  story.tell(`${host.name} has been cut off from the control plane`);
  await hosts.heal();
  await plane.call("POST", `/services/everywhere/instances/${host.name}:enable`);
  await plane.call("DELETE", "/services/late?force=true");
  await hosts.converged();
  story.tell("it is healed, and all route alike");
}

/** Calls of the others go on without it, its own where they reach its own instances; all is as before once it is healed. */
async function cutOff(hosts: Hosts, host: RigHost, story: Story): Promise<void> {
  const { plane } = hosts;
  const begun = performance.now();
  await hosts.cut(host);
  await until(async () => (await plane.enabled()).get("pair-ttl")?.size === 1);
  story.tell(`${host.name} has been cut off from all, and its instances with a ttl are gone`);
  await lags(hosts, host);
  await Promise.all([
    until(async () => !(await plane.connected()).includes(host.name)),
    until(async () => !(await host.state()).map.connected),
  ]);
  const noticedMs = performance.now() - begun;
  assert.ok(noticedMs <= KEEPALIVE_MS + SLACK_MS, `noticed after ${noticedMs} ms`);
  story.tell("both ends of its watch have given it up");
  await hosts.heal();
  await hosts.converged();
  story.tell("it is healed, and all route alike");
}

/** HAProxy goes on while its sidecar is stopped, or killed, and the next one adopts it. */
async function replaceSidecar(hosts: Hosts, host: RigHost, story: Story): Promise<void> {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    await host.endSidecar(signal);
    await hosts.plane.call("POST", `/services/everywhere/instances/${host.name}:disable`);
    await load(hosts);
    await lags(hosts, host);
    await host.startSidecar();
    await hosts.plane.call("POST", `/services/everywhere/instances/${host.name}:enable`);
    await hosts.converged();
    story.tell(`the sidecar of ${host.name} was replaced after ${signal}`);
  }
}

/** Resolves when nobody lags but this host, which does all the time. */
async function lags({ plane }: Hosts, { name }: RigHost): Promise<void> {
  await until(async () => {
    const laggards = await plane.laggards();
    assert.ok(laggards.includes(name), `${name} does not lag, only ${laggards}`);
    return laggards.length === 1;
  });
}

/** Resolves when each host has called some more. */
async function load({ outcomes, all }: Hosts): Promise<void> {
  const from = outcomes.length;
  const calls = ({ name }: RigHost) => outcomes.slice(from).filter((outcome) => outcome.from === name).length;
  await until(() => Promise.resolve(all.every((host) => calls(host) >= LOAD.perSecond)));
}

async function until(is: () => Promise<boolean>): Promise<void> {
  while (!await is()) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Fails with the first requests whose outcomes must not be. */
function assertPromised(judged: readonly Judged[], lonely: string): void {
  const faults = judged.flatMap(({ verdict }) => verdict instanceof Error ? [verdict.message] : []);
  assert.equal(faults.length, 0, `${faults.length} requests failed:\n${faults.slice(0, 10).join("\n")}`);
  // Who is cut off misses no more than one instance of a pair; the others never miss more than one of any service.
  const mayRunOut = ({ outcome: { from, service } }: Judged) => from === lonely && service.startsWith("everywhere");
  const outOfTries = judged.filter(({ verdict }) => String(verdict).startsWith("tries ran out"));
  assert.deepEqual(outOfTries.filter((one) => !mayRunOut(one)), []);
  const own = ({ outcome: { from, answer } }: Judged) => from === lonely && answer?.instance === `pair/${lonely}`;
  assert.ok(judged.some(own), `${lonely} was never answered by its own instance`);
}

/** How many requests there were of each verdict. */
function figures(judged: readonly Judged[], lonely: string): string {
  const counts = (all: readonly Judged[]) => {
    const byVerdict = Map.groupBy(all, ({ verdict }) => verdict instanceof Error ? "FAILED" : verdict);
    return Array.from(byVerdict, ([verdict, { length }]) => `${length} ${verdict}`).join(", ");
  };
  const isOwn = ({ outcome: { from } }: Judged) => from === lonely;
  return `${lonely}: ${counts(judged.filter(isOwn))}; the others: ${counts(judged.filter((one) => !isOwn(one)))}`;
}

function shuffled<T>(chance: Chance, from: readonly T[]): readonly T[] {
  const placed = from.map((value) => ({ value, at: chance.below(2 ** 30) }));
  return placed.sort((a, b) => a.at - b.at).map(({ value }) => value);
}

/** What has happened up to now, for who reads the output. */
class Story {
  readonly #begun = performance.now();

  constructor(title: string) {
    console.log(title);
  }

  tell(what: string): void {
    console.log(`${((performance.now() - this.#begun) / 1_000).toFixed(1)} s: ${what}`);
  }
}

import assert from "node:assert/strict";
import { type Host, startHost } from "../scenario/testing/host.ts";
import { now } from "../traffic/clock.ts";
import { type Receivers, startReceivers } from "../traffic/receivers.ts";
import { startTraffic, type Verdict } from "../traffic/traffic.ts";
import { defineFault } from "./fault.ts";
import type { Figure } from "./figures.ts";
import { type Chance, fork } from "./seed.ts";

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
  promise: "0 failed, lost or doubled requests; nobody is sent to an instance after its `disable` is reported applied",
  small: { changes: 40, reloads: 4, perSecond: 300, streamMs: 3_000, requests: 0 },
  full: { changes: 1_000, reloads: 100, perSecond: 2_000, streamMs: 20_000, requests: 1_000_000 },
  run,
});

/** Never switched off, so that every request has somewhere to go. */
const STEADY = [
  { id: "i1", service: "identity", version: 1 },
  { id: "i2", service: "identity", version: 2 },
  { id: "g1", service: "greeter", version: 1, protocol: "grpc" },
] as const;
const SWITCHED = [
  { id: "i3", service: "identity", version: 1 },
  { id: "i4", service: "identity", version: 2 },
  { id: "g2", service: "greeter", version: 1, protocol: "grpc" },
] as const;

const SENDERS = { kept: 8, new: 2, post: 2, h2c: 3, grpc: 2, slow: 2, stream: 4, websocket: 4, grpc_stream: 2 };

async function run(
  { changes, reloads, perSecond, streamMs, requests }: Sizes,
  chance: Chance,
): Promise<readonly Figure[]> {
  await using host = await startHost();
  await using receivers = await startReceivers([...STEADY, ...SWITCHED]);
  await host.call("PUT", "/services/greeter", { protocol: "H2C" });
  for (const { id, service, version } of [...STEADY, ...SWITCHED]) {
    await host.call("PUT", `/services/${service}/instances/${id}`, {
      host: "127.0.0.1",
      port: receivers.port(id),
      version,
    });
  }
  await host.call("PUT", "/services/identity/aliases/canary", { version: 2 });
  await host.applied();
  const before = (await host.state()).reloads.count;
  await using traffic = await startTraffic({
    port: host.egressPort,
    receivers,
    seed: chance.below(2 ** 32),
    services: { http: ["identity", "v1.identity", "canary.identity"], grpc: ["greeter"] },
    senders: SENDERS,
    perSecond,
    streamMs,
  });
  const changing = new Changing(host, receivers, fork(chance));
  for (let n = 0; n < changes; n++) {
    const every = Math.floor(changes / reloads);
    await changing.change(n % every === every - 1 ? n : undefined);
  }
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
  readonly #host: Host;
  readonly #receivers: Receivers;
  readonly #chance: Chance;
  readonly #switchedOff = new Set<string>();
  #news = 0;
  #isExtraThere = false;

  constructor(host: Host, receivers: Receivers, chance: Chance) {
    this.#host = host;
    this.#receivers = receivers;
    this.#chance = chance;
  }

  /** One change; `reloading` is a number that no other one had: then it is one that costs a reload. */
  async change(reloading?: number): Promise<void> {
    const wasOff = new Set(this.#switchedOff);
    // Together with a switch: what is off right after a reload is off for old connections, too.
    if (reloading === undefined) await this.#any();
    else await Promise.all([this.#sticky(reloading), this.#switch()]);
    await this.#host.applied();
    for (const id of this.#switchedOff) if (!wasOff.has(id)) this.off.push({ id, from: now(), to: Infinity });
  }

  async #any(): Promise<void> {
    switch (this.#chance.below(6)) {
      case 0:
      case 1:
        return await this.#switch();
      case 2:
        return await this.#weigh();
      case 3:
        return await this.#comeAndGo();
      case 4:
        return await this.#newService();
      default:
        return await this.#alias();
    }
  }

  async #switch(): Promise<void> {
    const { id, service } = this.#chance.pick(SWITCHED);
    const path = `/services/${service}/instances/${id}`;
    if (this.#switchedOff.delete(id)) {
      for (const off of this.off) if (off.id === id) off.to = Math.min(off.to, now());
      await this.#host.call("POST", `${path}:enable`);
    } else {
      await this.#host.call("POST", `${path}:${this.#chance.pick(["disable", "drain"])}`);
      this.#switchedOff.add(id);
    }
  }

  async #weigh(): Promise<void> {
    const { id, service, version } = this.#chance.pick(STEADY);
    await this.#put(service, id, { port: this.#receivers.port(id), version, weight: 1 + this.#chance.below(256) });
  }

  async #comeAndGo(): Promise<void> {
    const path = "/services/identity/instances/extra";
    this.#isExtraThere = !this.#isExtraThere;
    if (!this.#isExtraThere) return void await this.#host.call("DELETE", path);
    await this.#put("identity", "extra", { port: this.#receivers.port("i1"), version: 1 });
  }

  async #newService(): Promise<void> {
    const last = this.#news++;
    if (last % 3 === 2) await this.#host.call("DELETE", `/services/new-${last - 1}?force=true`);
    await this.#put(`new-${last + 1}`, "i", { port: this.#receivers.port("i1"), version: 1 });
  }

  async #alias(): Promise<void> {
    const share = this.#chance.below(10_001);
    const route = this.#chance.pick([
      { version: 1 },
      { version: 2 },
      { split: [{ version: 1, share }, { version: 2, share: 10_000 - share }] },
    ]);
    await this.#host.call("PUT", `/services/identity/aliases/${this.#chance.pick(["live", "canary"])}`, route);
  }

  /** There is a rule for each sticky header: one that is new costs a reload. */
  async #sticky(number: number): Promise<void> {
    const split = [{ version: 1, share: 5_000 }, { version: 2, share: 5_000 }];
    await this.#host.call("PUT", "/services/identity/aliases/trial", { split, stickyHeader: `x-user-${number}` });
  }

  async #put(service: string, id: string, instance: object): Promise<void> {
    await this.#host.call("PUT", `/services/${service}/instances/${id}`, { host: "127.0.0.1", ...instance });
  }
}

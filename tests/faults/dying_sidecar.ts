import assert from "node:assert/strict";
import { join } from "node:path";
import type { Service } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { CONFIG_FILE, MASTER_SOCKET, ROUTES_FILE } from "../../sidecar/config/names.ts";
import { parse } from "../../sidecar/config/parse.ts";
import { unseal } from "../../sidecar/config/seal.ts";
import { DataFolder } from "../../sidecar/haproxy/data_folder.ts";
import { processes } from "../../sidecar/haproxy/master.ts";
import { decodeMapFile } from "../../sidecar/map_file.ts";
import type { Verdict } from "../traffic/traffic.ts";
import { assertConverged, differences, readMap } from "./convergence.ts";
import { defineFault } from "./fault.ts";
import { type Figure, Tally } from "./figures.ts";
import { Prober } from "./outage.ts";
import { type Chance, fork } from "./seed.ts";
import { ALL_SENDERS, Changes, type Served, startServed, startTrafficTo } from "./served.ts";
import { temporaryFolder } from "./temporary_folder.ts";

interface Sizes {
  /** How often all of it is done. */
  readonly rounds: number;
  /** One of so many steps is tried, of those of a first start and of those of what follows. */
  readonly startStride: number;
  readonly stride: number;
  readonly replacements: number;
  /** Of short requests. */
  readonly perSecond: number;
}

export const dyingSidecar = defineFault<Sizes>({
  name: "F5",
  fault: "the sidecar is killed after each step of writing files and telling HAProxy, and is replaced, under load",
  promise: "files are old or new; HAProxy goes on, the same one, 0 failed requests; the next sidecar catches up",
  small: { rounds: 1, startStride: 6, stride: 3, replacements: 1, perSecond: 200 },
  full: { rounds: 3, startStride: 1, stride: 1, replacements: 50, perSecond: 1_000 },
  run,
});

async function run(sizes: Sizes, chance: Chance): Promise<readonly Figure[]> {
  const { rounds, startStride, stride, replacements, perSecond } = sizes;
  await using served = await startServed({ haproxyOutlives: true });
  const dying = new Dying(served, new Changes(served, fork(chance)), chance);
  const verdicts: Verdict[] = [];
  for (let round = 0; round < rounds; round++) {
    await dying.firstStarts(startStride);
    await using traffic = await startTrafficTo(served, chance, { senders: ALL_SENDERS, perSecond, streamMs: 1_000 });
    const { master } = await dying.processes();
    await dying.updates(stride);
    await dying.replacements(replacements);
    assert.equal((await dying.processes()).master, master, "another HAProxy runs");
    const verdict = await traffic.stop();
    assert.deepEqual(verdict.problems.slice(0, 20), [], verdict.text);
    verdicts.push(verdict);
  }
  const sum = (of: (verdict: Verdict) => number) => verdicts.reduce((all, verdict) => all + of(verdict), 0);
  return [
    ...dying.tally.figures(),
    { name: "requests", value: sum(({ sent }) => sent) },
    { name: "failed, lost, doubled, misrouted", value: sum(({ problems }) => problems.length), most: 0 },
  ];
}

type Maps = readonly (readonly Service[])[];

class Dying {
  readonly tally = new Tally();
  readonly #folder: string;

  constructor(private readonly served: Served, private readonly changes: Changes, private readonly chance: Chance) {
    this.#folder = join(served.host.dataFolder, "sidecar");
  }

  processes() {
    return processes(join(this.#folder, MASTER_SOCKET));
  }

  /** Where there is nothing yet, neither files nor HAProxy; the steps of the first update come on top. */
  async firstStarts(stride: number): Promise<void> {
    const { host } = this.served;
    for (let step = 1 + this.chance.below(stride);; step += stride) {
      await host.endSidecar("SIGKILL");
      await host.killHaproxy();
      await Deno.remove(this.#folder, { recursive: true });
      await using prober = new Prober(host.egressPort, "identity");
      const { died, maps } = await this.#dieAfter(step, [() => this.changes.comeAndGo()]);
      if (died) {
        await this.#checkFiles(maps, died, { mayBeNone: true });
        await this.#catchUp();
        this.tally.count("deaths in a first start");
      }
      await prober.back();
      assert.deepEqual(prober.failedSinceServed, [], `HAProxy did not go on after ${died}`);
      if (!died) return;
    }
  }

  /** Where HAProxy serves and goes on. */
  async updates(stride: number): Promise<void> {
    const { changes } = this;
    const all = [() => changes.comeAndGo(), () => changes.turn(), () => changes.reloading()];
    for (let step = 1 + this.chance.below(stride);; step += stride) {
      await this.served.host.endSidecar(this.chance.pick(["SIGTERM", "SIGKILL"]));
      const { died, maps } = await this.#dieAfter(step, all);
      if (!died) return;
      await this.#checkFiles(maps, died);
      await this.#catchUp();
      this.tally.count("deaths in take-overs, updates and reloads");
    }
  }

  async replacements(count: number): Promise<void> {
    const { host } = this.served;
    for (let n = 0; n < count; n++) {
      await host.endSidecar("SIGTERM");
      await this.#catchUp();
      this.tally.count("replacements");
    }
  }

  /** A new sidecar applies what was written while there was none, and it is what HAProxy runs then. */
  async #catchUp(): Promise<void> {
    const { host } = this.served;
    await this.changes.write();
    await host.reviveSidecar();
    await host.applied();
    await assertConverged(host);
  }

  /**
   * Starts a sidecar that is killed after its nth step, and has it apply these writes, one after the other. Answers with
   * the step, if it was killed, and with the maps that HAProxy may be left with.
   */
  async #dieAfter(step: number, changes: readonly (() => Promise<void>)[]): Promise<{ died?: string; maps: Maps }> {
    const { host } = this.served;
    let maps: Maps = [await readMap(host)];
    let isOver = false;
    const write = async (change: () => Promise<void>) => {
      await change();
      maps = [...maps, await readMap(host)];
    };
    const applied = async () => {
      const applied = host.applied();
      // Where it is dead, this goes on until the next one has applied it.
      applied.catch(() => {});
      await Promise.race([applied, ended]);
      if (!isOver) maps = maps.slice(-1);
    };
    await write(() => this.changes.comeAndGo());
    const serving = host.reviveSidecar({ PORTOLAN_FAIL_STEP: `${step}` });
    const { sidecar } = host;
    const ended = sidecar.ended.then(() => isOver = true);
    await Promise.race([serving, ended]).catch(() => ended);
    for (const change of [undefined, ...changes]) {
      if (isOver) break;
      if (change) await write(change);
      await applied();
    }
    if (!isOver) return { maps };
    const died = /^killed after (.*)$/m.exec(sidecar.output())?.[1];
    return { died: died ?? assert.fail(`the sidecar ended by itself:\n${sidecar.output()}`), maps };
  }

  /** Each file is whole, and together they say one of these maps. */
  async #checkFiles(maps: Maps, died: string, { mayBeNone = false } = {}): Promise<void> {
    // Looked at aside: who opens a folder mends it.
    await using aside = await temporaryFolder();
    for (const { name, isFile } of Deno.readDirSync(this.#folder)) {
      if (isFile && name !== "lock") Deno.copyFileSync(join(this.#folder, name), join(aside.path, name));
    }
    for (const name of [CONFIG_FILE, ROUTES_FILE]) {
      const text = textOf(join(aside.path, name));
      assert.ok(text === undefined || unseal(text), `${name} is torn after ${died}`);
    }
    const saved = bytesOf(join(aside.path, "map.bin"));
    assert.ok(saved === undefined || decodeMapFile(saved).kind === "map", `the saved map is torn after ${died}`);
    using data = await DataFolder.open(aside.path);
    const installed = data.readInstalled();
    if (!installed && mayBeNone) return;
    const plan = installed && parse(installed.config, installed.routes)?.plan;
    if (!plan) return assert.fail(`there are no files, or none that make sense, after ${died}`);
    const wrong = maps.map((services) => differences(services, plan));
    assert.ok(wrong.some((lines) => lines.length === 0), `neither old nor new after ${died}: ${JSON.stringify(wrong)}`);
  }
}

function bytesOf(path: string): Uint8Array | undefined {
  try {
    return Deno.readFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function textOf(path: string): string | undefined {
  const bytes = bytesOf(path);
  return bytes && new TextDecoder().decode(bytes);
}

/** What Portolan costs, each figure beside what the same work costs without it, measured in the same run. */
import { Problem } from "../../proto/settings.ts";
import { describeFlags, flag, type Flags, list, loadSettings, optional, text } from "../../proto/settings.ts";
import { type Figure, table } from "./measure.ts";
import { FULL, MANY_WATCHERS, QUICK, type Sizes } from "./sizes.ts";
import { haproxyCpu } from "./haproxy_cpu.ts";
import { Program } from "./program.ts";
import { largeMap } from "./large_map.ts";
import { lastWatcher } from "./last_watcher.ts";
import { sidecarSize } from "./sidecar_size.ts";
import { throughput } from "./throughput.ts";
import { versionOf } from "./load.ts";
import { writeToRouted } from "./write_to_routed.ts";
import { writeToWatcher } from "./write_to_watcher.ts";

type Bench = (sizes: Sizes, folder: string) => Promise<readonly Figure[]>;

const BENCHES: Readonly<Record<string, Bench>> = {
  "write-to-watcher": writeToWatcher,
  "write-to-routed": writeToRouted,
  "haproxy-cpu": haproxyCpu,
  "sidecar-size": sidecarSize,
  "last-watcher": lastWatcher,
  throughput,
  "large-map": largeMap,
  "many-watchers": (sizes, folder) => lastWatcher(sizes === QUICK ? sizes : { ...sizes, ...MANY_WATCHERS }, folder),
};

const FLAGS = {
  quick: { hint: "", help: "small sizes: shows that the benches work, not how fast anything is", parse: flag },
  only: { hint: "NAME,…", help: `some of ${Object.keys(BENCHES).join(", ")}`, parse: list(bench) },
  json: { hint: "FILE", help: "writes the figures there as well", parse: optional(text) },
} satisfies Flags;

function bench(name: string | undefined): string | Problem {
  return name !== undefined && name in BENCHES ? name : new Problem(`expected ${Object.keys(BENCHES).join(", ")}`);
}

async function main(): Promise<number> {
  const loaded = loadSettings(FLAGS, { args: Deno.args, env: {} });
  if (loaded.kind === "help") return console.log(`Usage: deno task bench [flags]\n\n${describeFlags(FLAGS)}`), 0;
  if (loaded.kind === "problems") return loaded.problems.forEach((problem) => console.error(problem)), 2;
  const { quick, only, json } = loaded.settings;
  const sizes = quick ? QUICK : FULL;
  const machine = describeMachine();
  console.log(`${words(machine)}\n${words(sizes)}`);
  const figures: Figure[] = [];
  for (const [name, run] of Object.entries(BENCHES)) {
    if (only.length > 0 && !only.includes(name)) continue;
    const folder = await Deno.makeTempDir({ prefix: "portolan-bench-" });
    const begun = performance.now();
    try {
      figures.push(...await run(sizes, folder));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
    console.error(`${name}: ${((performance.now() - begun) / 1_000).toFixed(1)} s`);
  }
  console.log(`\n${table(figures)}`);
  if (json) await Deno.writeTextFile(json, JSON.stringify({ machine, sizes, figures }, undefined, 2) + "\n");
  return 0;
}

function describeMachine(): Readonly<Record<string, string>> {
  const gib = Deno.systemMemoryInfo().total / 2 ** 30;
  return {
    cores: `${navigator.hardwareConcurrency}`,
    memory: `${gib.toFixed(0)} GiB`,
    deno: Deno.version.deno,
    haproxy: versionOf("haproxy"),
    wrk: versionOf("wrk"),
  };
}

/** `a 1, b 2`; of what is nested, its values. */
function words(all: object): string {
  return Object.entries(all).map(([name, value]) => {
    return `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`;
  }).join(", ");
}

if (import.meta.main) {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => {
      Program.endAll();
      Deno.exit(1);
    });
  }
  Deno.exit(await main());
}

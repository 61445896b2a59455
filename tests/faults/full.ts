/** Faults with the figures of their promises: minutes each. Prints a report of them as a table. */
import { describeFlags, flag, type Flags, integer, loadSettings, optional } from "../../proto/settings.ts";
import { type Fault, type Trial } from "./fault.ts";
import { FAULTS } from "./faults.ts";
import type { Figure } from "./figures.ts";
import { parseSeed, seedOfRun, withSeed } from "./seed.ts";

const FLAGS = {
  seed: { hint: "N", help: "Chance of another run again; else nobody chooses it", parse: optional(parseSeed) },
  minutes: {
    hint: "M",
    help: "Instead: small sizes, all of them again and again with other seeds, for so long",
    parse: optional(integer(1, 10_000)),
  },
  small: { hint: "", help: "Small sizes, as in every run of the gate", parse: flag },
} satisfies Flags;

const HELP = `Makes faults on purpose and holds the control plane to its promises.

Usage: deno task faults [NAME…] [flags]

${FAULTS.map(({ name, fault }) => `  ${name.padEnd(8)}${fault}\n`).join("")}
${describeFlags(FLAGS)}`;

/** None is to take so long. */
const LONGEST_MS = 90 * 60_000;

interface Verdict {
  readonly kept: boolean;
  /** One row for each figure. */
  readonly rows: readonly string[];
}

async function main(): Promise<number> {
  const loaded = loadSettings(FLAGS, { args: Deno.args, env: {} });
  if (loaded.kind === "help") return console.log(HELP), 0;
  const unknown = loaded.kind === "settings" ? loaded.positionals.filter((name) => !byName(name)) : [];
  const problems = loaded.kind === "problems" ? loaded.problems : unknown.map((name) => `Unknown fault "${name}"`);
  if (loaded.kind === "problems" || problems.length > 0) return problems.forEach((line) => console.error(line)), 2;
  const { positionals, settings: { seed = seedOfRun(), minutes, small } } = loaded;
  const faults = positionals.length > 0 ? positionals.flatMap((name) => byName(name) ?? []) : FAULTS;
  console.log(`| fault | sizes | seed | figure | value | promise | verdict |\n|---|---|---|---|---|---|---|`);
  const end = performance.now() + (minutes ?? 0) * 60_000;
  let all = true;
  for (let round = 0; round === 0 || performance.now() < end; round++) {
    for (const fault of faults) {
      const isSmall = small || minutes !== undefined;
      const { kept, rows } = await runOne(fault, isSmall ? fault.small : fault.full, (seed + round) % 2 ** 32, isSmall);
      all &&= kept;
      // What holds over and over again is not worth a line each time.
      if (round === 0 || !kept) { for (const row of rows) console.log(row); }
    }
  }
  return all ? 0 : 1;
}

async function runOne({ name, missing }: Fault, trial: Trial, seed: number, small: boolean): Promise<Verdict> {
  const sizes = Object.entries(trial.sizes).map(([key, value]) => `${key} ${value}`).join(", ");
  const why = missing();
  if (why !== undefined) return { kept: true, rows: [`| ${name} | ${sizes} | | | | | not here: ${why} |`] };
  const begun = performance.now();
  try {
    const replay = `deno task faults ${name} --seed ${seed}${small ? " --small" : ""}`;
    const figures = await withSeed({ seed, replay, withinMs: LONGEST_MS }, (chance) => trial.run(chance));
    const took: Figure = { name: "the run took, s", value: Math.round((performance.now() - begun) / 1_000) };
    const rows = [...figures, took].map((figure, at) =>
      row(at === 0 ? [name, sizes, `${seed}`] : ["", "", ""], figure)
    );
    return { kept: figures.every(isKept), rows };
  } catch (error) {
    console.error(error);
    return { kept: false, rows: [`| ${name} | ${sizes} | ${seed} | | | | broken |`] };
  }
}

function row(begin: readonly string[], figure: Figure): string {
  const { name, value, most } = figure;
  const verdict = most === undefined ? "" : isKept(figure) ? "kept" : "broken";
  const shown = Number.isInteger(value) ? `${value}` : value.toPrecision(3);
  return `| ${[...begin, name, shown, most === undefined ? "" : `≤ ${most}`, verdict].join(" | ")} |`;
}

function isKept({ value, most = Infinity }: Figure): boolean {
  return value <= most;
}

function byName(name: string): Fault | undefined {
  return FAULTS.find((fault) => fault.name.toLowerCase() === name.toLowerCase());
}

// Clients that are closed may still hold connections that nobody uses.
if (import.meta.main) Deno.exit(await main());

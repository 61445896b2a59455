/** Samples of things that take turns, so that what disturbs the machine disturbs all alike, and what they add up to. */

import type { Turn } from "./sizes.ts";

/**
 * Of times in ms or µs, sizes in MB (10^6 bytes), percents of a core and counts, the less the better; of rates per second,
 * the higher the better.
 */
export type Unit = "ms" | "µs" | "MB" | "%" | "" | "/s";

/** Half of the samples are at least as good as `p50`, all but one in a hundred as good as `p99`. */
export interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly samples: number;
}

/** What cannot be beaten on this machine: the same work without Portolan, measured in the same rounds. */
export interface Floor extends Spread {
  readonly name: string;
  /** Of each sample and the one of the same round: the ratio in the middle, and those that all but the outer tenths lie between. */
  readonly ratio?: { readonly p50: number; readonly p10: number; readonly p90: number };
}

export interface Figure extends Spread {
  readonly name: string;
  readonly unit: Unit;
  readonly floors: readonly Floor[];
}

/** One measurement; answers with what it found. */
export type Sample<T = number> = () => Promise<T>;

/** Samples of each subject: in every round each has a turn, another one first each time. Of some the turns are `others`. */
export async function takeTurns<Name extends string, T>(
  subjects: Readonly<Record<Name, Sample<T>>>,
  { rounds, ...usual }: { readonly rounds: number } & Turn,
  others?: { readonly [name in Name]?: Turn },
): Promise<Readonly<Record<Name, readonly T[]>>> {
  const names = Object.keys(subjects) as Name[];
  const found = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, T[]>;
  for (let round = 0; round <= rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length] as Name;
      const { samples, warmUp } = others?.[name] ?? usual;
      for (let i = 0; i < (round === 0 ? warmUp : samples); i++) {
        const sample = await subjects[name]();
        if (round > 0) found[name].push(sample);
      }
    }
  }
  return found;
}

export function spread(samples: readonly number[], unit: Unit = "ms"): Spread {
  const sorted = samples.toSorted((a, b) => unit === "/s" ? b - a : a - b);
  return { p50: at(sorted, 50), p99: at(sorted, 99), samples: sorted.length };
}

/** The nearest rank: a value that was measured. */
function at(sorted: readonly number[], percent: number): number {
  return sorted[Math.ceil(sorted.length * percent / 100) - 1] ?? NaN;
}

/** A figure beside its floors, each a name and its samples. */
export function figure(
  name: string,
  samples: readonly number[],
  floors: Readonly<Record<string, readonly number[]>>,
  unit: Unit = "ms",
): Figure {
  return {
    name,
    unit,
    ...spread(samples, unit),
    floors: Object.entries(floors).map(([name, samples]) => ({ name, ...spread(samples, unit) })),
  };
}

/** The same of samples of which the nth is of the nth round, here and there. */
export function paired(
  name: string,
  samples: readonly number[],
  floors: Readonly<Record<string, readonly number[]>>,
  unit: Unit,
): Figure {
  const found = figure(name, samples, floors, unit);
  return {
    ...found,
    floors: found.floors.map((floor) => {
      const ratios = samples.map((sample, round) => sample / (floors[floor.name]?.[round] ?? NaN)).toSorted((a, b) =>
        a - b
      );
      return { ...floor, ratio: { p50: at(ratios, 50), p10: at(ratios, 10), p90: at(ratios, 90) } };
    }),
  };
}

/** Figures as a table for people, one line for each floor; the ratio is that of the two p50, or of pairs. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.flatMap(({ name, unit, p50, p99, samples, floors }) =>
    floors.map((floor, i) => [
      ...(i === 0 ? [name, unit, `${samples}`, shown(p50), shown(p99)] : ["", "", "", "", ""]),
      floor.name,
      shown(floor.p50),
      shown(floor.p99),
      ratioText(p50, floor),
    ])
  );
  const all = [["figure", "unit", "n", "p50", "p99", "floor", "p50", "p99", "ratio"], ...rows];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0))) ?? [];
  const texts = new Set([0, 1, 5]);
  return all.map((row) =>
    row.map((cell, column) => texts.has(column) ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))
      .join("  ").trimEnd() + "\n"
  ).join("");
}

function ratioText(p50: number, { p50: least, ratio }: Floor): string {
  if (least === 0) return "–";
  if (!ratio) return (p50 / least).toFixed(2);
  return `${ratio.p50.toFixed(2)} (${ratio.p10.toFixed(2)}–${ratio.p90.toFixed(2)})`;
}

function shown(value: number): string {
  if (value === 0) return "0";
  return value < 1_000 ? value.toPrecision(3) : Math.round(value).toString();
}

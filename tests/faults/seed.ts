/** Chance with a seed that a failing run names, so that it can be run again. */
import { Chance } from "../scenario/fuzz.ts";
import { integer, Problem } from "../../proto/settings.ts";

export { Chance };

export const SEED_VARIABLE = "PORTOLAN_FAULT_SEED";
const SEEDS = 2 ** 32;

/** As text it is a whole number of 32 bits. */
export const parseSeed = integer(0, SEEDS - 1);

/** The seed that the environment asks for, else one that nobody chose. Throws on one that is none. */
export function seedOfRun(text = Deno.env.get(SEED_VARIABLE)): number {
  const seed = parseSeed(text ?? `${Math.floor(Math.random() * SEEDS)}`);
  if (seed instanceof Problem) throw new TypeError(`Cannot use ${SEED_VARIABLE} "${text}": ${seed.text}`);
  return seed;
}

/** Runs with chance of this seed. A failure says the seed, and `replay`, the command that runs it again. */
export async function withSeed<T>(seed: number, replay: string, run: (chance: Chance) => Promise<T>): Promise<T> {
  try {
    return await run(new Chance(seed));
  } catch (error) {
    throw new Error(`Failed with seed ${seed}: ${(error as Error).message}\nThe same again: ${replay}`, {
      cause: error,
    });
  }
}

/** Chance for one of several who choose at the same time: what it chooses does not depend on when the others do. */
export function fork(chance: Chance): Chance {
  return new Chance(chance.below(SEEDS));
}

/** A whole number from `least` to `most`, both included. */
export function between(chance: Chance, least: number, most: number): number {
  return least + chance.below(most - least + 1);
}

/** Some of them, at least one, in their order. */
export function someOf<T>(chance: Chance, from: readonly T[]): readonly T[] {
  const sure = chance.below(from.length);
  return from.filter((_, at) => at === sure || chance.oneIn(3));
}

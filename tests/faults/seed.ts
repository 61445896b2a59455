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

export interface SeededRun {
  readonly seed: number;
  /** The command that does the same again. */
  readonly replay: string;
  /** Who takes longer hangs. */
  readonly withinMs: number;
}

/** Runs with chance of this seed. A failure says the seed, and how to run it again. */
export async function withSeed<T>(
  { seed, replay, withinMs }: SeededRun,
  run: (chance: Chance) => Promise<T>,
): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`It did not end within ${withinMs / 1_000} s`)), withinMs);
  try {
    return await Promise.race([run(new Chance(seed)), late.promise]);
  } catch (error) {
    throw new Error(`Failed with seed ${seed}: ${(error as Error).message}\nThe same again: ${replay}`, {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
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

/** A fault that is made on purpose, and the promise that is held against it. */
import type { Figure } from "./figures.ts";
import type { Chance } from "./seed.ts";

/** One way to run it: how much of everything, and the run. */
export interface Trial {
  readonly sizes: object;
  /** Throws when the promise is broken. Figures that are beyond theirs are for the report to judge. */
  run(chance: Chance): Promise<readonly Figure[]>;
}

export interface Fault {
  /** Short; what it is called on a command line. */
  readonly name: string;
  readonly fault: string;
  readonly promise: string;
  /** Why it cannot be made on this machine; `undefined`: it can. */
  missing(): string | undefined;
  /** In every run of the gate: seconds. */
  readonly small: Trial;
  /** With the figures of the promise: minutes. */
  readonly full: Trial;
}

export interface FaultDefinition<S extends object> {
  readonly name: string;
  readonly fault: string;
  readonly promise: string;
  readonly missing?: () => string | undefined;
  readonly small: S;
  readonly full: S;
  readonly run: (sizes: S, chance: Chance) => Promise<readonly Figure[]>;
}

export function defineFault<S extends object>({ small, full, run, missing, ...names }: FaultDefinition<S>): Fault {
  const trial = (sizes: S): Trial => ({ sizes, run: (chance) => run(sizes, chance) });
  return { ...names, missing: missing ?? (() => undefined), small: trial(small), full: trial(full) };
}

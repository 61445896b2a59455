/** Reloads of HAProxy: how often, why, when the next one may be, and who waits for it. */
import { needReload } from "./routing/assign.ts";
import type { ReloadReason } from "./routing/diff.ts";
import type { HaproxyPlan } from "./routing/plan.ts";
import type { Wishes } from "./wishes.ts";

export interface Reload {
  readonly at: Date;
  readonly reasons: readonly ReloadReason[];
}

export interface ReloadsOptions {
  /** From one to the next, in ms; the first is at once. */
  readonly everyMs: number;
  /** How many old workers there may be before the next one. */
  readonly mostOldWorkers: number;
}

/** The newest ones that are told. */
const KEPT = 50;
const LOOK_AGAIN_MS = 1_000;

export class Reloads {
  readonly #options: ReloadsOptions;
  readonly #done: Reload[] = [];
  #count = 0;
  #nextAt = 0;
  #waits: string | undefined;

  constructor(options: ReloadsOptions) {
    this.#options = options;
  }

  /** Since the start. */
  get count(): number {
    return this.#count;
  }

  /** Oldest first. */
  get newest(): readonly Reload[] {
    return this.#done;
  }

  /** Why one that is owed waits for longer than it takes to keep a distance. */
  get waits(): string | undefined {
    return this.#waits;
  }

  /** How long the next one has to wait, in ms; 0: it may be now. */
  waitMs(oldWorkers: number): number {
    const crowded = oldWorkers >= this.#options.mostOldWorkers;
    this.#waits = crowded ? `${oldWorkers} old workers still have connections` : undefined;
    return crowded ? LOOK_AGAIN_MS : Math.max(0, this.#nextAt - performance.now());
  }

  /** One begins. */
  begin(): void {
    this.#nextAt = performance.now() + this.#options.everyMs;
  }

  done(reasons: readonly ReloadReason[]): void {
    this.#count++;
    this.#done.push({ at: new Date(), reasons });
    if (this.#done.length > KEPT) this.#done.shift();
  }
}

/** The services that a reload is still to come for, where all is done that needs none. */
export function waitingFor(
  running: HaproxyPlan,
  { wanted, frozen }: Pick<Wishes, "wanted" | "frozen">,
): ReadonlySet<string> {
  const losing = [...running.listeners].filter(([port, { service }]) =>
    wanted.get(service)?.localPort !== port && !frozen.has(service)
  );
  return new Set([...needReload(wanted, running), ...losing.map(([, { service }]) => service)]);
}

/** Servers that are out of the map and still known to HAProxy: deleted late, and only once nothing uses them. */
import { hasLeaving } from "./routing/assign.ts";
import type { HaproxyPlan, ServerRef } from "./routing/plan.ts";

/** Says which servers it is time to delete: those that have been leaving for a while. */
export class Leaving {
  readonly #afterMs: number;
  readonly #onDue: () => void;
  #batch: ReadonlySet<string> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(afterMs: number, onDue: () => void) {
    this.#afterMs = afterMs;
    this.#onDue = onDue;
  }

  /** Those of `plan` that are due. Each is told once per period. */
  due(plan: HaproxyPlan): readonly ServerRef[] {
    if (this.#timer !== undefined) return [];
    const batch = this.#batch;
    this.#batch = undefined;
    return batch ? leavingServers(plan).filter((server) => batch.has(key(server))) : [];
  }

  /** Begins a period for those that are leaving now, unless one is under way. */
  watch(plan: HaproxyPlan): void {
    if (this.#timer !== undefined) return;
    const leaving = leavingServers(plan);
    if (leaving.length === 0) return;
    this.#batch = new Set(leaving.map(key));
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#onDue();
    }, this.#afterMs);
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}

/** The plan without servers that are gone. */
export function without(plan: HaproxyPlan, gone: readonly ServerRef[]): HaproxyPlan {
  if (gone.length === 0) return plan;
  const names = new Set(gone.map(key));
  const backends = Array.from(plan.backends.values(), (backend) => {
    const left = [...backend.servers].filter(([name]) => !names.has(key({ slot: backend.slot, name })));
    return left.length === backend.servers.size ? backend : { ...backend, servers: new Map(left) };
  });
  return { ...plan, backends: new Map(backends.map((backend) => [backend.slot, backend])) };
}

/** Those of the plan that are only there until nothing uses them. */
export function leavingServers(plan: HaproxyPlan): readonly ServerRef[] {
  return [...plan.backends.values()].filter(({ servers }) => hasLeaving(servers)).flatMap(({ slot, servers }) =>
    [...servers.values()].filter(({ state }) => state === "leaving").map(({ name }) => ({ slot, name }))
  );
}

function key({ slot, name }: ServerRef): string {
  return `${slot}/${name}`;
}

/** Ports of services that somebody else has taken while HAProxy did not run. */
import type { Address } from "../proto/settings.ts";
import { whyTaken } from "./haproxy/new_ports.ts";
import type { HaproxyPlan, Listener } from "./routing/plan.ts";

export interface WithoutTaken {
  readonly plan: HaproxyPlan;
  /** Ports that are not in it any more, and whose they were. */
  readonly taken: ReadonlyMap<number, Listener>;
}

/** The plan without listeners that HAProxy, which does not run, cannot have. */
export function withoutTaken(plan: HaproxyPlan, { host }: Address): WithoutTaken {
  const taken = new Map([...plan.listeners].filter(([port]) => whyTaken({ hostname: host, port }) !== undefined));
  const listeners = new Map([...plan.listeners].filter(([port]) => !taken.has(port)));
  return { plan: { ...plan, listeners }, taken };
}

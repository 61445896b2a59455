/** Plans, and the files that say them, for tests. */
import type { Service } from "../../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { type Files, print } from "../../config/print.ts";
import { TIMEOUTS, type Timeouts } from "../../config/print_base.ts";
import { assign, settled } from "../../routing/assign.ts";
import { EMPTY_PLAN, type HaproxyPlan } from "../../routing/plan.ts";
import { wantedOf } from "../../testing/maps.ts";

export type Print = (plan: HaproxyPlan, generation: number) => Files;

/** Prints for an egress port. */
export function printer(port: number, timeouts: Partial<Timeouts> = {}): Print {
  const settings = {
    realm: "local",
    egress: { host: "127.0.0.1", port },
    timeouts: { ...TIMEOUTS, ...timeouts },
  };
  return (plan, generation) => print(plan, settings, { generation });
}

/** The plan for these services, after one for others. */
export function planOf(services: readonly Service[], before: HaproxyPlan = EMPTY_PLAN): HaproxyPlan {
  return settled(assign(wantedOf(...services), before));
}

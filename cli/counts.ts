import { Instance_Status, type Service } from "../proto/gen/portolan/v1/cluster_map_pb.ts";

/** How many of a service's instances are what; an instance is counted under everything that it is. */
export interface Counts {
  readonly total: number;
  /** Get new calls: enabled with their service, of some weight, not draining, not found failing. */
  readonly up: number;
  readonly passing: number;
  readonly failing: number;
  /** Nobody checks them. */
  readonly unknown: number;
  readonly draining: number;
  readonly held: number;
}

export function countsOf({ enabled, instances }: Service): Counts {
  const status = (one: Instance_Status) => instances.filter(({ status }) => status === one).length;
  const up = instances.filter((one) =>
    one.enabled && one.weight > 0 && !one.draining && one.status !== Instance_Status.FAILING
  );
  return {
    total: instances.length,
    up: enabled ? up.length : 0,
    passing: status(Instance_Status.PASSING),
    failing: status(Instance_Status.FAILING),
    unknown: status(Instance_Status.UNKNOWN),
    draining: instances.filter(({ draining }) => draining).length,
    held: instances.filter(({ held }) => held).length,
  };
}

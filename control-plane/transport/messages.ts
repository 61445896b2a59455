/** Parts of the map as messages of the contract. */
import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import type { Alias, Instance, Service, Status } from "../domain/cluster_map.ts";
import type { Route } from "../domain/route.ts";
import { type Check, DEFAULT_SPEC, type ServiceSpec } from "../domain/service_spec.ts";
import * as pb from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { CallPolicySchema } from "../../proto/gen/portolan/v1/policy_pb.ts";

export function toService(service: Service): pb.Service {
  const { name, modified, specModified, enabled, spec, instances, aliases } = service;
  return create(pb.ServiceSchema, {
    name,
    modified,
    specModified,
    enabled,
    instances: instances.map(toInstance),
    aliases: aliases.map(toAlias),
    ...(spec !== DEFAULT_SPEC && { spec: toSpec(spec) }),
  });
}

/** The lease stays here: who knows it can renew it. */
export function toInstance({ metadata, ttl, lease: _, status, ...instance }: Instance): pb.Instance {
  return create(pb.InstanceSchema, {
    ...instance,
    metadata: { ...metadata },
    status: STATUSES[status],
    ...(ttl !== undefined && { ttl: toDuration(ttl) }),
  });
}

export function toAlias({ name, modified, route }: Alias): pb.Alias {
  return create(pb.AliasSchema, { name, modified, route: toRoute(route) });
}

/** Of ms. */
function toDuration(ms: number): Duration {
  return create(DurationSchema, { seconds: BigInt(Math.floor(ms / 1_000)), nanos: (ms % 1_000) * 1_000_000 });
}

/** By the enum's numbers. */
export const STATUSES: Readonly<Record<Status, pb.Instance_Status>> = {
  passing: pb.Instance_Status.PASSING,
  failing: pb.Instance_Status.FAILING,
  unknown: pb.Instance_Status.UNKNOWN,
};

export function toSpec({ protocol, check, policy, balancer, limits, localPort }: ServiceSpec): pb.ServiceSpec {
  return create(pb.ServiceSpecSchema, {
    protocol: pb.ServiceSpec_Protocol[protocol],
    ...(check && { check: toCheck(check) }),
    ...(policy && {
      policy: create(CallPolicySchema, { ...policy, statuses: policy.statuses && { codes: [...policy.statuses] } }),
    }),
    balancer: pb.ServiceSpec_Balancer[balancer],
    ...(limits && { limits }),
    ...(localPort !== undefined && { localPort }),
  });
}

function toCheck({ kind, path, intervalMs, rise, fall }: Check): pb.Check {
  return create(pb.CheckSchema, {
    kind: pb.Check_Kind[kind],
    path: path ?? "",
    interval: toDuration(intervalMs),
    rise,
    fall,
  });
}

function toRoute(route: Route): pb.Route {
  if (route.kind === "version") return create(pb.RouteSchema, { version: route.version });
  const split = route.shares.map((share) => create(pb.ShareSchema, share));
  return create(pb.RouteSchema, { split, stickyHeader: route.stickyHeader ?? "" });
}

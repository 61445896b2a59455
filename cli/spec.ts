/** A service's own fields in words. */
import { toJson } from "@bufbuild/protobuf";
import {
  type Check,
  Check_Kind,
  type Limits,
  type ServiceSpec,
  ServiceSpec_Balancer,
  ServiceSpec_Protocol,
} from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { type CallPolicy, CallPolicySchema } from "../proto/gen/portolan/v1/policy_pb.ts";
import { formatDuration } from "./format.ts";

/** Each field with what it is, defaults as the contract has them; `none` for what there need not be. */
export function specWords(spec: ServiceSpec | undefined): readonly (readonly [field: string, is: string])[] {
  return [
    ["protocol", ServiceSpec_Protocol[spec?.protocol || ServiceSpec_Protocol.HTTP1]],
    ["check", checkWords(spec?.check)],
    ["balancer", ServiceSpec_Balancer[spec?.balancer || ServiceSpec_Balancer.P2C]],
    ["limits", limitsWords(spec?.limits)],
    ["local port", `${spec?.localPort ?? "none"}`],
    ["policy", policyWords(spec?.policy)],
  ];
}

/** The fields that differ, with what they became. */
export function specChanges(before: ServiceSpec | undefined, after: ServiceSpec | undefined): readonly string[] {
  const was = new Map(specWords(before));
  return specWords(after).filter(([field, is]) => was.get(field) !== is).map(([field, is]) => `${field} ${is}`);
}

function checkWords(check: Check | undefined): string {
  const kind = check?.kind || Check_Kind.TCP;
  const what = kind === Check_Kind.HTTP ? `HTTP ${check?.path || "/"}` : Check_Kind[kind];
  const every = check?.interval ? formatDuration(check.interval) : "2s";
  return `${what} every ${every}, rise ${check?.rise || 2}, fall ${check?.fall || 3}`;
}

function limitsWords(limits: Limits | undefined): string {
  if (!limits?.maxConnections) return "none";
  const waiting = limits.maxQueue ? `, ${limits.maxQueue} waiting` : "";
  return `${limits.maxConnections} connections${waiting}`;
}

/** As in JSON: `timeoutMs=500 statuses={"codes":[502]}`. */
function policyWords(policy: CallPolicy | undefined): string {
  const json = policy ? toJson(CallPolicySchema, policy) as Record<string, unknown> : {};
  return Object.entries(json).map(([field, value]) => `${field}=${JSON.stringify(value)}`).join(" ") || "default";
}

/** A service's own fields and a route as the domain has them; what is wrong is noted field by field. */
import { DEFAULT_VERSION, parsePort, parseStickyHeader, parseVersion } from "../domain/names.ts";
import { parseSplit, type Route, type Share } from "../domain/route.ts";
import {
  BUDGET_RANGES,
  type CallPolicy,
  type Check,
  DEFAULT_BACKOFF_MS,
  DEFAULT_SPEC,
  isDefaultSpec,
  type Limits,
  POLICY_RANGES,
  type RetryBudget,
  type ServiceSpec,
  STATUS_RANGE,
} from "../domain/service_spec.ts";
import { textBytes } from "../domain/size.ts";
import {
  type Check as CheckMessage,
  Check_Kind,
  type Limits as LimitsMessage,
  type Route as RouteMessage,
  type ServiceSpec as SpecMessage,
  ServiceSpec_Balancer,
  ServiceSpec_Protocol,
} from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { CallPolicy as PolicyMessage } from "../../proto/gen/portolan/v1/policy_pb.ts";
import { CHECK_RANGES, DEFAULT_CHECK, LIMIT_RANGE, MAX_CHECK_PATH } from "../../proto/limits.ts";
import { millisOf } from "./decode.ts";
import type { Violations } from "./violations.ts";

const PROTOCOLS: Readonly<Record<number, ServiceSpec["protocol"]>> = {
  [ServiceSpec_Protocol.PROTOCOL_UNSPECIFIED]: "HTTP1",
  [ServiceSpec_Protocol.HTTP1]: "HTTP1",
  [ServiceSpec_Protocol.H2C]: "H2C",
  [ServiceSpec_Protocol.TCP]: "TCP",
  [ServiceSpec_Protocol.TLS]: "TLS",
};

const BALANCERS: Readonly<Record<number, ServiceSpec["balancer"]>> = {
  [ServiceSpec_Balancer.BALANCER_UNSPECIFIED]: "P2C",
  [ServiceSpec_Balancer.P2C]: "P2C",
  [ServiceSpec_Balancer.ROUND_ROBIN]: "ROUND_ROBIN",
  [ServiceSpec_Balancer.RING_HASH]: "RING_HASH",
};

const CHECKS: Readonly<Record<number, Check["kind"]>> = {
  [Check_Kind.KIND_UNSPECIFIED]: "TCP",
  [Check_Kind.TCP]: "TCP",
  [Check_Kind.HTTP]: "HTTP",
  [Check_Kind.GRPC]: "GRPC",
};

/** `path` stands before the names of fields. */
export function specOf(fields: Violations, spec: SpecMessage | undefined, path = ""): ServiceSpec {
  if (!spec) return DEFAULT_SPEC;
  const decoded: ServiceSpec = {
    protocol: word(fields, `${path}protocol`, PROTOCOLS, spec.protocol),
    ...(spec.check && { check: checkOf(fields, spec.check, `${path}check.`) }),
    ...(spec.policy && { policy: policyOf(fields, spec.policy, `${path}policy.`) }),
    balancer: word(fields, `${path}balancer`, BALANCERS, spec.balancer),
    ...(spec.limits && { limits: limitsOf(fields, spec.limits, `${path}limits.`) }),
    ...(spec.localPort !== undefined && { localPort: fields.take(`${path}localPort`, parsePort(spec.localPort)) }),
  };
  return isDefaultSpec(decoded) ? DEFAULT_SPEC : decoded;
}

export function routeOf(fields: Violations, route: RouteMessage | undefined, path = ""): Route {
  const { version = 0, split = [], stickyHeader = "" } = route ?? {};
  const none: Route = { kind: "version", version: DEFAULT_VERSION };
  const at = `${path}version`;
  if (version === 0 && split.length === 0) return fields.add(at, "expected a version or a split"), none;
  if (version !== 0 && split.length > 0) return fields.add(at, "expected either a version or a split"), none;
  if (version !== 0) {
    if (stickyHeader !== "") fields.add(`${path}stickyHeader`, "expected only with a split");
    return { kind: "version", version: fields.take(at, parseVersion(version)) };
  }
  const shares: Share[] = split.map(({ version, share }, i) => ({
    version: fields.take(`${path}split[${i}].version`, parseVersion(version)),
    share,
  }));
  const header = stickyHeader === "" ? undefined : fields.take(`${path}stickyHeader`, parseStickyHeader(stickyHeader));
  return fields.take(`${path}split`, parseSplit(shares, header));
}

function checkOf(fields: Violations, check: CheckMessage, path: string): Check {
  const kind = word(fields, `${path}kind`, CHECKS, check.kind);
  const forHttp = check.path === "" || kind === "HTTP";
  const good = check.path === "" ||
    /^\/[\x21-\x7e]*$/.test(check.path) && textBytes(check.path) <= MAX_CHECK_PATH;
  if (!forHttp) fields.add(`${path}path`, "expected for HTTP only");
  else if (!good) {
    fields.add(`${path}path`, `expected a slash and at most ${MAX_CHECK_PATH} visible ASCII characters`);
  }
  const interval = check.interval ? millisOf(check.interval) : DEFAULT_CHECK.intervalMs;
  return {
    kind,
    ...(kind === "HTTP" && { path: check.path || DEFAULT_CHECK.path }),
    intervalMs: number(fields, `${path}interval`, interval, CHECK_RANGES.intervalMs, "ms"),
    rise: number(fields, `${path}rise`, check.rise || DEFAULT_CHECK.rise, CHECK_RANGES.rise),
    fall: number(fields, `${path}fall`, check.fall || DEFAULT_CHECK.fall, CHECK_RANGES.fall),
  };
}

function limitsOf(fields: Violations, { maxConnections, maxQueue }: LimitsMessage, path: string): Limits {
  if (maxQueue > 0 && maxConnections === 0) fields.add(`${path}maxQueue`, "expected only with maxConnections");
  return {
    maxConnections: number(fields, `${path}maxConnections`, maxConnections, LIMIT_RANGE),
    maxQueue: number(fields, `${path}maxQueue`, maxQueue, LIMIT_RANGE),
  };
}

function policyOf(fields: Violations, policy: PolicyMessage, path: string): CallPolicy {
  const numbers: Partial<Record<keyof typeof POLICY_RANGES, number>> = {};
  for (const name of Object.keys(POLICY_RANGES) as (keyof typeof POLICY_RANGES)[]) {
    const value = policy[name];
    if (value !== undefined) numbers[name] = number(fields, `${path}${name}`, value, POLICY_RANGES[name]);
  }
  const { baseMs = DEFAULT_BACKOFF_MS.base, maxMs = DEFAULT_BACKOFF_MS.max } = numbers;
  const beyondAll = baseMs > POLICY_RANGES.baseMs[1];
  if (baseMs > maxMs && !beyondAll) fields.add(`${path}baseMs`, `expected at most maxMs, which is ${maxMs}`);
  const statuses = policy.statuses?.codes.map((code, i) =>
    number(fields, `${path}statuses.codes[${i}]`, code, STATUS_RANGE)
  );
  return {
    ...numbers,
    ...(statuses && { statuses: [...new Set(statuses)].sort((a, b) => a - b) }),
    ...(policy.budget && { budget: budgetOf(fields, policy.budget, `${path}budget.`) }),
  };
}

function budgetOf(fields: Violations, budget: NonNullable<PolicyMessage["budget"]>, path: string): RetryBudget {
  const take = (name: keyof RetryBudget) => number(fields, path + name, budget[name], BUDGET_RANGES[name]);
  return { ratioPermille: take("ratioPermille"), minPerSec: take("minPerSec"), burst: take("burst") };
}

function word<T>(fields: Violations, path: string, words: Readonly<Record<number, T>>, value: number): T {
  const known = words[value];
  if (known === undefined) fields.add(path, `expected one of ${[...new Set(Object.values(words))].join(", ")}`);
  return known as T;
}

function number(
  fields: Violations,
  path: string,
  value: number | undefined,
  range: readonly [number, number],
  unit = "",
) {
  const [least, most] = range;
  if (value === undefined || value < least || value > most) {
    fields.add(path, `expected a whole number${unit && ` of ${unit}`} from ${least} to ${most}`);
  }
  return value ?? least;
}

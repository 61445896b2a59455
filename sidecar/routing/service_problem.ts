import {
  type Alias,
  type Instance,
  type Route,
  type Service,
  type ServiceSpec,
  ServiceSpec_Balancer,
  ServiceSpec_Protocol,
} from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { LIMIT_RANGE, WEIGHT_RANGE } from "../../proto/limits.ts";
import { aliasProblem, hostProblem, MAX_VERSION, nameProblem, stickyHeaderProblem } from "../../proto/names.ts";

/** Why a service that came over the wire is none that can be routed, as a sentence; `undefined` if it is one. */
export function serviceProblem(service: Service): string | undefined {
  return text("service", service.name, nameProblem) ??
    twice("instance", service.instances.map((instance) => instance.id)) ??
    twice("alias", service.aliases.map((alias) => alias.name)) ??
    first(service.instances, instanceProblem) ??
    first(service.aliases, aliasRouteProblem) ??
    (service.spec && specProblem(service.spec));
}

/** What a newer control plane may say that is not known here, and what no control plane says. */
function specProblem({ protocol, balancer, limits, localPort }: ServiceSpec): string | undefined {
  return unknown("protocol", protocol, ServiceSpec_Protocol) ??
    unknown("balancer", balancer, ServiceSpec_Balancer) ??
    number("maxConnections", limits?.maxConnections ?? 0, ...LIMIT_RANGE) ??
    number("maxQueue", limits?.maxQueue ?? 0, ...LIMIT_RANGE) ??
    (localPort === undefined ? undefined : number("localPort", localPort, 1, 65_535));
}

function instanceProblem(instance: Instance): string | undefined {
  return text("instance id", instance.id, nameProblem) ??
    text("host", instance.host, hostProblem) ??
    number("port", instance.port, 1, 65_535) ??
    number("version", instance.version, 1, MAX_VERSION) ??
    number("weight", instance.weight, ...WEIGHT_RANGE);
}

function aliasRouteProblem({ name, route }: Alias): string | undefined {
  const problem = text("alias", name, aliasProblem);
  if (problem !== undefined) return problem;
  const reason = route ? routeProblem(route) : "it leads nowhere";
  return reason === undefined ? undefined : `Cannot use alias "${name}": ${reason}`;
}

function routeProblem({ version, split, stickyHeader }: Route): string | undefined {
  if (split.length === 0) {
    return stickyHeader === "" ? number("version", version, 1, MAX_VERSION) : "only a split can be sticky";
  }
  if (version !== 0) return "it has a version and a split";
  if (split.length < 2) return "a split needs two versions or more";
  const sum = split.reduce((total, { share }) => total + share, 0);
  if (sum !== 10_000) return `its shares add up to ${sum}, not to 10000`;
  return twice("version", split.map((share) => String(share.version))) ??
    first(
      split,
      (share) => number("version", share.version, 1, MAX_VERSION) ?? number("share", share.share, 0, 10_000),
    ) ??
    (stickyHeader === "" ? undefined : text("sticky header", stickyHeader, stickyHeaderProblem));
}

function first<T>(items: readonly T[], problemOf: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const problem = problemOf(item);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function text(what: string, value: string, problemOf: (text: string) => string | undefined): string | undefined {
  const problem = problemOf(value);
  return problem === undefined ? undefined : `Cannot use ${what} ${JSON.stringify(value)}: ${problem}`;
}

function number(what: string, value: number, least: number, most: number): string | undefined {
  if (Number.isInteger(value) && value >= least && value <= most) return undefined;
  return `Cannot use ${what} ${value}: expected a whole number from ${least} to ${most}`;
}

/** An enum has its numbers' names under them. */
function unknown(what: string, value: number, names: Readonly<Record<number, string>>): string | undefined {
  return names[value] === undefined ? `Cannot use ${what} ${value}: this sidecar does not know it` : undefined;
}

function twice(what: string, values: readonly string[]): string | undefined {
  const seen = new Set<string>();
  for (const value of values) {
    if (seen.has(value)) return `Cannot use ${what} ${JSON.stringify(value)}: it is there twice`;
    seen.add(value);
  }
  return undefined;
}

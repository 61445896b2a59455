/**
 * A service of the cluster map as it shall be routed. Pure: addresses of host names are looked up, not resolved.
 * The stream that brought the service is not trusted: what does not fit the grammar of names goes no further.
 */
import { isIP } from "node:net";
import {
  type Instance,
  Instance_Status,
  type Service,
  type ServiceSpec,
  ServiceSpec_Balancer,
  ServiceSpec_Protocol,
} from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { TIMEOUT_RANGE } from "../../proto/limits.ts";
import { hostProblem } from "../../proto/names.ts";
import type { Form, Pool, Servers, WantedRoute, WantedService } from "./plan.ts";
import { usable, USUAL_FORM } from "./plan.ts";
import { ringWeights } from "./weights.ts";
import { serviceProblem } from "./service_problem.ts";

/** What is known here beside the map. */
export interface Known {
  /** An IP literal for a host name, `undefined` while it has none. */
  addressOf(hostName: string): string | undefined;
  /** Whether an instance is left out for a while, as it does not answer. */
  isEjected(service: string, instanceId: string): boolean;
}

export type Rendered =
  /** `unresolved`: why instances had to be left out, one sentence each. */
  | { readonly kind: "wanted"; readonly service: WantedService; readonly unresolved: readonly string[] }
  | { readonly kind: "refused"; readonly reason: string };

/** Renders the service that the map has under `name`. */
export function render(name: string, service: Service, known: Known): Rendered {
  const problem = service.name === name ? serviceProblem(service) : `the service under this name is "${service.name}"`;
  if (problem !== undefined) return { kind: "refused", reason: problem };

  const unresolved: string[] = [];
  const placed = service.instances.flatMap((instance): Placed[] => {
    const address = known.addressOf(instance.host);
    // What a resolver says is not trusted either.
    if (address !== undefined && isIP(address) !== 0 && hostProblem(address) === undefined) {
      return [{ instance, address }];
    }
    unresolved.push(`Cannot route to instance "${instance.id}": its host "${instance.host}" has no address`);
    return [];
  });
  const form = formOf(service.spec);
  const routes = routesOf(service, form);
  const pools = poolsOf({ service, placed, form, isEjected: (id) => known.isEjected(name, id) });
  const localPort = service.spec?.localPort;
  const wanted = { name, form, pools, routes, ...(localPort !== undefined && { localPort }) };
  return { kind: "wanted", service: wanted, unresolved };
}

const SPEAKS: Readonly<Partial<Record<ServiceSpec_Protocol, Form["speaks"]>>> = {
  [ServiceSpec_Protocol.H2C]: "h2c",
  [ServiceSpec_Protocol.TCP]: "tcp",
  [ServiceSpec_Protocol.TLS]: "tcp",
};

const BALANCERS: Readonly<Partial<Record<ServiceSpec_Balancer, Form["balancer"]>>> = {
  [ServiceSpec_Balancer.ROUND_ROBIN]: "round_robin",
  [ServiceSpec_Balancer.RING_HASH]: "ring_hash",
};

function formOf(spec: ServiceSpec | undefined): Form {
  if (!spec) return USUAL_FORM;
  const { protocol, balancer, policy, limits } = spec;
  const { timeoutMs = 0 } = policy ?? {};
  return {
    speaks: SPEAKS[protocol] ?? USUAL_FORM.speaks,
    balancer: BALANCERS[balancer] ?? USUAL_FORM.balancer,
    // Silence that is longer than a whole call may take is no call any more. What is out of range is ignored.
    answerMs: timeoutMs > 0 && timeoutMs <= TIMEOUT_RANGE[1] ? timeoutMs : USUAL_FORM.answerMs,
    maxConnections: limits?.maxConnections ?? USUAL_FORM.maxConnections,
    maxQueue: limits?.maxQueue ?? USUAL_FORM.maxQueue,
  };
}

interface Placed {
  readonly instance: Instance;
  readonly address: string;
}

interface Members {
  readonly service: Service;
  readonly placed: readonly Placed[];
  readonly form: Form;
  readonly isEjected: (instanceId: string) => boolean;
}

function poolsOf(members: Members): ReadonlyMap<Pool, Servers> {
  const { service, placed } = members;
  const found = new Map<Pool, Placed[]>();
  const join = (pool: Pool, one: Placed) => {
    const others = found.get(pool);
    others ? others.push(one) : found.set(pool, [one]);
  };
  const unset = !hasLive(service);
  for (const one of placed) {
    if (unset) join("all", one);
    join(one.instance.version, one);
  }
  return new Map([...found].map(([pool, ones]) => [pool, serversOf({ ...members, placed: ones })]));
}

/** An instance that fails or does not answer is used only where nothing else could be. */
function serversOf({ service, placed, form, isEjected }: Members): Servers {
  // HAProxy drains a server without weight, and finds it so in its files after a reload; its state `drain` is on the
  // socket only.
  const weights = placed.map(({ instance }) => instance.draining ? 0 : instance.weight);
  const shares = form.balancer === "round_robin" ? weights : ringWeights(weights);
  const choose = (whoever: boolean): Servers =>
    new Map(placed.map(({ instance, address }, at) => {
      const { id, port, enabled, status } = instance;
      const good = whoever || (status !== Instance_Status.FAILING && !isEjected(id));
      const state = service.enabled && enabled && good ? "ready" : "maintenance";
      return [id, { name: id, host: address, port, weight: shares[at] ?? 0, state }];
    }));
  const good = choose(false);
  return usable(good) ? good : choose(true);
}

function routesOf(service: Service, form: Form): readonly WantedRoute[] {
  const { name } = service;
  const whole = (route: string, pool: Pool): WantedRoute => ({ name: route, shares: [{ pool, share: 10_000 }] });
  const versions = new Set(service.instances.map((instance) => instance.version));
  return [
    ...(hasLive(service) ? [] : [whole(name, "all")]),
    ...[...versions].map((version) => whole(`v${version}.${name}`, version)),
    ...service.aliases.map(({ name: alias, route }): WantedRoute => {
      const called = alias === LIVE ? name : `${alias}.${name}`;
      if (!route || route.split.length === 0) return whole(called, route?.version ?? 0);
      const shares = route.split.map(({ version, share }) => ({ pool: version, share }));
      return {
        name: called,
        shares: shares.sort((a, b) => a.pool - b.pool),
        // Bytes have no headers.
        ...(route.stickyHeader !== "" && form.speaks !== "tcp" && { stickyHeader: route.stickyHeader }),
      };
    }),
  ];
}

/** The alias of callers who name none. While it is not set they get all enabled instances. */
const LIVE = "live";

function hasLive(service: Service): boolean {
  return service.aliases.some((alias) => alias.name === LIVE);
}

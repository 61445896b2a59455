/**
 * A service of the cluster map as it shall be routed. Pure: addresses of host names are looked up, not resolved.
 * The stream that brought the service is not trusted: what does not fit the grammar of names goes no further.
 */
import { isIP } from "node:net";
import { type Instance, Instance_Status, type Service } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { hostProblem } from "../../proto/names.ts";
import type { Pool, Server, Servers, WantedRoute, WantedService } from "./plan.ts";
import { usable } from "./plan.ts";
import { serviceProblem } from "./service_problem.ts";

/** What is known of addresses: an IP literal for a host name, `undefined` while it has none. */
export type AddressOf = (hostName: string) => string | undefined;

export type Rendered =
  /** `unresolved`: why instances had to be left out, one sentence each. */
  | { readonly kind: "wanted"; readonly service: WantedService; readonly unresolved: readonly string[] }
  | { readonly kind: "refused"; readonly reason: string };

/** Renders the service that the map has under `name`. */
export function render(name: string, service: Service, addressOf: AddressOf): Rendered {
  const problem = service.name === name ? serviceProblem(service) : `the service under this name is "${service.name}"`;
  if (problem !== undefined) return { kind: "refused", reason: problem };

  const unresolved: string[] = [];
  const placed = service.instances.flatMap((instance): Placed[] => {
    const address = addressOf(instance.host);
    // What a resolver says is not trusted either.
    if (address !== undefined && isIP(address) !== 0 && hostProblem(address) === undefined) {
      return [{ instance, address }];
    }
    unresolved.push(`Cannot route to instance "${instance.id}": its host "${instance.host}" has no address`);
    return [];
  });
  const pools = poolsOf(service, placed);
  return { kind: "wanted", service: { name, pools, routes: routesOf(service) }, unresolved };
}

interface Placed {
  readonly instance: Instance;
  readonly address: string;
}

function poolsOf(service: Service, placed: readonly Placed[]): ReadonlyMap<Pool, Servers> {
  const members = new Map<Pool, Placed[]>();
  const join = (pool: Pool, one: Placed) => {
    const others = members.get(pool);
    others ? others.push(one) : members.set(pool, [one]);
  };
  const unset = !hasLive(service);
  for (const one of placed) {
    if (unset) join("all", one);
    join(one.instance.version, one);
  }
  return new Map([...members].map(([pool, ones]) => [pool, serversOf(service, ones)]));
}

/** A failing instance is used only where nothing else could be. */
function serversOf(service: Service, placed: readonly Placed[]): Servers {
  const choose = (alsoFailing: boolean): Servers =>
    new Map(placed.map((one) => [one.instance.id, serverOf(service, one, alsoFailing)]));
  const passing = choose(false);
  return usable(passing) ? passing : choose(true);
}

function serverOf(service: Service, { instance, address }: Placed, alsoFailing: boolean): Server {
  const ready = service.enabled && instance.enabled && (alsoFailing || instance.status !== Instance_Status.FAILING);
  const { id, port, draining } = instance;
  // HAProxy drains a server without weight, and finds it so in its files after a reload; its state `drain` is on the
  // socket only.
  const weight = draining ? 0 : instance.weight;
  return { name: id, host: address, port, weight, state: ready ? "ready" : "maintenance" };
}

function routesOf(service: Service): readonly WantedRoute[] {
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
        ...(route.stickyHeader !== "" && { stickyHeader: route.stickyHeader }),
      };
    }),
  ];
}

/** The alias of callers who name none. While it is not set they get all enabled instances. */
const LIVE = "live";

function hasLive(service: Service): boolean {
  return service.aliases.some((alias) => alias.name === LIVE);
}

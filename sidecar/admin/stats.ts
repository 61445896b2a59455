/**
 * HAProxy's figures by service, version and instance, since its worker was started. Pure. An instance is in a backend for
 * its version and may be in one for all: here it is one.
 */
import { type Routed, versionOf } from "../access/target.ts";
import { NO_SERVICE } from "../config/answers.ts";
import { instanceOf, NO_INSTANCES, type Server, TCP_ONLY } from "../routing/plan.ts";
import { type FiguresJson, Sum } from "./sum.ts";
import { AT, type Figure, type StatRow } from "./stat_rows.ts";

export interface Stats {
  /** By name. */
  readonly services: readonly ServiceStats[];
  /** What was answered here, as no instance could be asked. */
  readonly own: OwnAnswers;
}

export interface ServiceStats extends FiguresJson {
  readonly service: string;
  /** Ascending; what is of no known version comes last. */
  readonly versions: readonly VersionStats[];
}

export interface VersionStats extends FiguresJson {
  readonly version: number | null;
  /** By id. */
  readonly instances: readonly InstanceStats[];
}

export interface InstanceStats extends FiguresJson {
  readonly instance: string;
  readonly host: string;
  readonly port: number;
  /** `leaving` is off the map, with connections that have not ended. */
  readonly state: "ready" | "draining" | "ejected" | "maintenance" | "leaving";
  /** As the map has it, 0 to 256; `null` of one that is off the map. */
  readonly weight: number | null;
  /** Of the new requests to its version, in basis points. */
  readonly share: number;
}

export interface OwnAnswers {
  readonly noService: number;
  /** Connections to a service's own port among them. */
  readonly noInstances: number;
  /** Requests to a service that takes connections only. */
  readonly tcpOnly: number;
  /** Requests that name no service as they should, or are no HTTP. */
  readonly badRequests: number;
}

/** What is routed, and who is left out for a while. */
export interface Running extends Routed {
  readonly isEjected: (service: string, instance: string) => boolean;
}

/** Joins the rows with the plan: rows that it does not know are left out, and who has no row yet has done nothing. */
export function statsOf(rows: readonly StatRow[], running: Running): Stats {
  const found = byProxy(rows);
  const services = new Map<string, Map<string, Member>>();
  for (const { slot, service, pool, servers } of running.plan.backends.values()) {
    const members = services.get(service) ?? new Map<string, Member>();
    services.set(service, members);
    for (const server of servers.values()) {
      const id = instanceOf(server.name);
      const member = members.get(id) ?? { sum: new Sum(), version: undefined, server };
      members.set(id, member);
      const figures = found.get(slot)?.get(server.name);
      if (figures) member.sum.addRow(figures);
      member.version ??= pool === "all" ? versionOf(running.services.get(service), id) : pool;
      if (prefers(server, member.server)) member.server = server;
    }
  }
  const names = [...services.keys()].sort();
  return {
    services: names.map((name) => serviceStats(name, services.get(name) ?? new Map(), running)),
    own: ownAnswers(rows),
  };
}

/** One instance, over all backends that it is in. */
interface Member {
  readonly sum: Sum;
  version: number | undefined;
  /** In the backend where it is used most. */
  server: Server;
}

type Found = ReadonlyMap<string, ReadonlyMap<string, readonly number[]>>;

function byProxy(rows: readonly StatRow[]): Found {
  const found = new Map<string, Map<string, readonly number[]>>();
  for (const { of, proxy, name, figures } of rows) {
    if (of !== "server") continue;
    const servers = found.get(proxy) ?? new Map<string, readonly number[]>();
    found.set(proxy, servers.set(name, figures));
  }
  return found;
}

const USED = { ready: 2, maintenance: 1, leaving: 0 } as const;

function prefers(one: Server, other: Server): boolean {
  return USED[one.state] > USED[other.state];
}

function serviceStats(service: string, members: ReadonlyMap<string, Member>, running: Running): ServiceStats {
  const byVersion = new Map<number | undefined, [string, Member][]>();
  for (const entry of members) {
    const list = byVersion.get(entry[1].version) ?? [];
    byVersion.set(entry[1].version, list);
    list.push(entry);
  }
  const sum = new Sum();
  const versions = [...byVersion].sort(([a = Infinity], [b = Infinity]) => a - b).map(([version, list]) => {
    const all = new Sum();
    for (const [, member] of list) all.add(member.sum);
    sum.add(all);
    return { version: version ?? null, ...all.json(), instances: instanceStats(service, list, running) };
  });
  return { service, ...sum.json(), versions };
}

function instanceStats(service: string, list: [string, Member][], running: Running): readonly InstanceStats[] {
  const known = running.services.get(service);
  const weights = new Map(known?.instances.map(({ id, weight }) => [id, weight]));
  const drawn = ({ state, weight }: Server) => state === "ready" ? weight : 0;
  const total = list.reduce((total, [, { server }]) => total + drawn(server), 0);
  return list.sort(([a], [b]) => a < b ? -1 : 1).map(([instance, { server, sum }]) => ({
    instance,
    host: server.host,
    port: server.port,
    state: stateOfServer(server, running.isEjected(service, instance)),
    weight: weights.get(instance) ?? null,
    share: total === 0 ? 0 : Math.round(drawn(server) * 10_000 / total),
    ...sum.json(),
  }));
}

/** One that is ejected and used all the same, as there is no other, is ready. */
function stateOfServer({ state, weight }: Server, ejected: boolean): InstanceStats["state"] {
  if (state === "ready") return weight > 0 ? "ready" : "draining";
  return state === "maintenance" && ejected ? "ejected" : state;
}

function ownAnswers(rows: readonly StatRow[]): OwnAnswers {
  const total = (of: StatRow["of"], figure: Figure, proxy?: string) =>
    rows.reduce((sum, row) => {
      return row.of === of && row.proxy === (proxy ?? row.proxy) ? sum + (row.figures[AT[figure]] as number) : sum;
    }, 0);
  return {
    noService: total("backend", "stot", NO_SERVICE),
    // Connections are refused where they come in.
    noInstances: total("backend", "stot", NO_INSTANCES) + total("frontend", "dreq"),
    tcpOnly: total("backend", "stot", TCP_ONLY),
    badRequests: total("frontend", "ereq") + total("frontend", "intercepted"),
  };
}

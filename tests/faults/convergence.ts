/** Oracle O4: what HAProxy really runs, and would run after a restart, is what the map says. Of services of HTTP. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import {
  type Instance,
  Instance_Status,
  type Route,
  type Service,
  ServiceSchema,
  ServiceSpec_Protocol,
} from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { CONFIG_FILE, ROUTES_FILE, workerSocket } from "../../sidecar/config/names.ts";
import { parse } from "../../sidecar/config/parse.ts";
import { unseal } from "../../sidecar/config/seal.ts";
import { observe } from "../../sidecar/haproxy/observe.ts";
import { type HaproxyPlan, instanceOf, NO_INSTANCES, type Servers } from "../../sidecar/routing/plan.ts";
import type { Host } from "../scenario/testing/host.ts";

/** How requests find their instances: what there is to compare of a plan. */
export type Routing = Pick<HaproxyPlan, "backends" | "routes" | "stickyHeaders">;

/** Fails unless HAProxy is as the newest map says. Everything that was written has to be applied. */
export async function assertConverged(host: Host): Promise<void> {
  await assertRouted(host, await readMap(host));
}

/** Fails unless HAProxy is as these services say, which are a whole map. */
export async function assertRouted({ dataFolder }: Host, services: readonly Service[]): Promise<void> {
  const { running, files } = await readRouting(join(dataFolder, "sidecar"));
  assert.deepEqual(differences(services, running), [], "HAProxy runs something else than the map says");
  assert.deepEqual(differences(services, files), [], "HAProxy's files say something else than the map");
}

/** The newest map of the control plane. */
export async function readMap(host: Host): Promise<readonly Service[]> {
  const { services } = await host.call<{ readonly services: readonly JsonValue[] }>("GET", "/map");
  return services.map((service) => fromJson(ServiceSchema, service));
}

/** What the worker of a data folder does by its own account, and what the files there say. Throws if either is unreadable. */
export async function readRouting(folder: string): Promise<{ readonly running: Routing; readonly files: Routing }> {
  const [config, routes] = [CONFIG_FILE, ROUTES_FILE].map((name) => unseal(Deno.readTextFileSync(join(folder, name))));
  const parsed = config && routes && parse(config.body, routes.body);
  if (!parsed) throw new Error(`Cannot read HAProxy's files in "${folder}": they are not whole`);
  const { plan, generation } = parsed;
  const observed = await observe(join(folder, workerSocket(generation)));
  const backends = [...plan.backends].map(([slot, backend]) => {
    const servers: Servers = observed.servers.get(slot) ?? new Map();
    return [slot, { ...backend, servers }] as const;
  });
  return { running: { ...plan, backends: new Map(backends), routes: observed.routes }, files: plan };
}

/** What is otherwise than this whole map says, a line each. Pure. */
export function differences(services: readonly Service[], routing: Routing): readonly string[] {
  const [said, done] = [new Set(services.flatMap(linesOfService)), new Set(linesOfRouting(routing))];
  return [
    ...[...said.difference(done)].map((line) => `missing: ${line}`),
    ...[...done.difference(said)].map((line) => `too much: ${line}`),
  ].sort();
}

/** Requests with a bucket in [from, to), counted from 0, and where they go. */
interface Range {
  readonly from: number;
  readonly until: number;
  readonly leads: string;
}

const BUCKETS = 10_000;

/** By the rules of the contract, in words of its own: nothing here knows how the sidecar renders. */
function linesOfService(service: Service): readonly string[] {
  const { name, instances, aliases } = service;
  const pool = (version: number) => leads(service, instances.filter((one) => one.version === version));
  const whole = (to: string) => [{ from: 0, until: BUCKETS, leads: to }];
  const versions = [...new Set(instances.map(({ version }) => version))];
  return [
    ...(aliases.some((alias) => alias.name === "live") ? [] : lines(name, whole(leads(service, instances)))),
    ...versions.flatMap((version) => lines(`v${version}.${name}`, whole(pool(version)))),
    ...aliases.flatMap(({ name: alias, route }) => {
      const called = alias === "live" ? name : `${alias}.${name}`;
      if (!route || route.split.length === 0) return lines(called, whole(pool(route?.version ?? 0)));
      const sticky = route.stickyHeader === "" ? [] : [`${called} keeps a caller by ${route.stickyHeader}`];
      return [...lines(called, split(route, pool)), ...sticky];
    }),
  ];
}

function split({ split }: Route, pool: (version: number) => string): readonly Range[] {
  let from = 0;
  return split.toSorted((a, b) => a.version - b.version)
    .map(({ version, share }) => ({ from, until: from += share, leads: pool(version) }));
}

/** To those that a call may go to: who fails only where all do. */
function leads({ name, enabled, spec }: Service, instances: readonly Instance[]): string {
  const all = instances.filter((one) => enabled && one.enabled && !one.draining && one.weight > 0);
  const good = all.filter(({ status }) => status !== Instance_Status.FAILING);
  const speaks = spec?.protocol === ServiceSpec_Protocol.H2C ? "h2c" : "http1";
  return chosen(`${speaks} ${name}`, good.length > 0 ? good : all);
}

function linesOfRouting({ backends, routes, stickyHeaders }: Routing): readonly string[] {
  const found: string[] = [];
  const ranges = new Map<string, Range[]>();
  for (const [key, value] of routes) {
    const [name = "", prefix = ""] = key.split("/");
    if (prefix === "s" && stickyHeaders.includes(value)) {
      found.push(`${name} keeps a caller by ${value}`);
    } else if (/^1[0-9]{0,4}$/.test(prefix)) {
      const from = Number(prefix.padEnd(5, "0")) - BUCKETS;
      const range = { from, until: from + 10 ** (5 - prefix.length), leads: leadsTo(value, backends) };
      ranges.set(name, [...ranges.get(name) ?? [], range]);
    } else {
      found.push(`${key} ${value}, which is no row of this kind of service`);
    }
  }
  return [...found, ...[...ranges].flatMap(([name, all]) => lines(name, all.toSorted((a, b) => a.from - b.from)))];
}

function leadsTo(value: string, backends: Routing["backends"]): string {
  const backend = backends.get(value);
  if (!backend) return value === NO_INSTANCES ? NOBODY : `${value}, which is no backend`;
  const usable = [...backend.servers.values()]
    .filter(({ state, weight }) => state === "ready" && weight > 0)
    .map((server) => ({ ...server, id: instanceOf(server.name) }));
  // Who asks a backend without servers is not told what the contract says.
  return usable.length > 0 ? chosen(`${backend.form.speaks} ${backend.service}`, usable) : `${value}, which is empty`;
}

const NOBODY = "no instances";

type Chosen = Pick<Instance, "id" | "host" | "port" | "weight">;

/** Weights count by their ratio. */
function chosen(service: string, instances: readonly Chosen[]): string {
  if (instances.length === 0) return NOBODY;
  const unit = instances.reduce((divisor, { weight }) => gcd(divisor, weight), 0);
  const each = instances.map(({ id, host, port, weight }) => `${id} at ${host}:${port} × ${weight / unit}`);
  return `${service}: ${each.sort().join(", ")}`;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/** Neighbours that lead to the same are one; in which pieces they are written is nobody's concern. */
function lines(route: string, ranges: readonly Range[]): readonly string[] {
  const merged: Range[] = [];
  for (const range of ranges.filter(({ from, until }) => until > from)) {
    const last = merged.at(-1);
    if (last?.until === range.from && last.leads === range.leads) merged.splice(-1, 1, { ...last, until: range.until });
    else merged.push(range);
  }
  return merged.map(({ from, until, leads }) => `${route} [${from}, ${until}) → ${leads}`);
}

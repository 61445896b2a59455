/**
 * Gives what is wanted its places in HAProxy. A backend keeps its slot for as long as HAProxy knows it, and no slot is
 * ever given to another pool: requests that are under way, and map rows of an old worker, cannot land elsewhere.
 */
import type { Backend, HaproxyPlan, Listener, Server, Servers, Wanted, WantedService } from "./plan.ts";
import { fitsSpare, instanceOf, sameForm, slotFor, slotsOf } from "./plan.ts";
import { rowsOf, stickyRows } from "./rows.ts";
import { slotName } from "./slot.ts";

export interface Assigning {
  /**
   * Default `allow`. `hold`: HAProxy may not be reloaded now; the routes of what needs that lead where they led, to the
   * same instances as far as there are any, and everything else goes on. `refill`: it may
   * be reloaded only to have enough spare backends again.
   */
  readonly reloading?: "allow" | "hold" | "refill";
  /** How many spare backends HAProxy has after a reload; default: none. */
  readonly spares?: number;
  /** Services that stay as they run, whatever that is: what is wanted of them cannot be used, and nothing else is known. */
  readonly frozen?: ReadonlySet<string>;
}

/** The plan for what is wanted, built on the one that runs. */
export function assign(wanted: Wanted, running: HaproxyPlan, how: Assigning = {}): HaproxyPlan {
  const { reloading = "allow", spares = 0, frozen = NOBODY } = how;
  const needs = needsOf(wanted, running, frozen);
  // A reload starts from the files: what is leaving or of no use any more ends there, and only there.
  const reload = reloading !== "hold" &&
    (needs.reload || (reloading === "refill" && running.spares.length - needs.taken.length < spares));
  // A service that waits for a reload goes on in the backends that it has, whatever pool they are of.
  const waiting = new Set(reload ? [] : concerned(needs, wanted, running));
  const backends = keptBackends({ wanted, running, frozen, reload, waiting });
  for (const [at, pool] of needs.taken.entries()) {
    const slot = running.spares[at] as string;
    backends.set(slot, { slot, ...pool });
  }
  const free = running.spares.slice(needs.taken.length);
  let nextSlot = running.nextSlot;
  if (reload) {
    for (const pool of needs.pools) {
      const slot = slotName(nextSlot++);
      backends.set(slot, { slot, ...pool });
    }
    while (free.length < spares) free.push(slotName(nextSlot++));
  }
  const stickyHeaders = reload
    ? [...new Set([...stickyHeadersOf(wanted.values()), ...stickyRows(running.routes)])].sort()
    : running.stickyHeaders;
  return {
    backends,
    spares: needs.taken.length === 0 && nextSlot === running.nextSlot ? running.spares : free,
    listeners: reload ? needs.listeners : running.listeners,
    routes: rowsOf({
      wanted,
      slots: slotsOf(backends.values()),
      stickyHeaders,
      before: running.routes,
      backends,
      frozen,
    }),
    stickyHeaders,
    nextSlot,
  };
}

/** The plan once nothing is leaving any more. */
export function settled(plan: HaproxyPlan): HaproxyPlan {
  const stays = (servers: Servers) => new Map([...servers].filter(([, server]) => server.state !== "leaving"));
  const backends = [...plan.backends.values()].map((backend) =>
    hasLeaving(backend.servers) ? { ...backend, servers: stays(backend.servers) } : backend
  );
  return { ...plan, backends: new Map(backends.map((backend) => [backend.slot, backend])) };
}

/** Whether HAProxy still knows a server that the map does not have any more. */
export function hasLeaving(servers: Servers): boolean {
  for (const server of servers.values()) if (server.state === "leaving") return true;
  return false;
}

/** The services that a reload is needed for. */
export function needReload(wanted: Wanted, running: HaproxyPlan): readonly string[] {
  return concerned(needsOf(wanted, running), wanted, running);
}

/** The services whose needs only a reload meets. */
function concerned(
  { pools, headers, listeners, reload }: Needs,
  wanted: Wanted,
  running: HaproxyPlan,
): readonly string[] {
  if (!reload) return [];
  const sticky = [...wanted.values()].filter(({ routes }) =>
    routes.some(({ stickyHeader }) => stickyHeader !== undefined && headers.includes(stickyHeader))
  );
  const ported = [...listeners].filter(([port, listener]) => !sameListener(running.listeners.get(port), listener));
  return [
    ...new Set([
      ...pools.map(({ service }) => service),
      ...sticky.map(({ name }) => name),
      ...ported.map(([, { service }]) => service),
    ]),
  ];
}

const NO_SERVERS: Servers = new Map();
const NOBODY: ReadonlySet<string> = new Set();

type Homeless = Omit<Backend, "slot">;

/** What is wanted and not there: what a spare backend is there for, and what only a reload brings. */
interface Needs {
  readonly taken: readonly Homeless[];
  readonly pools: readonly Homeless[];
  readonly headers: readonly string[];
  /** All that are wanted; the same object as the ones that run where they are the same. */
  readonly listeners: ReadonlyMap<number, Listener>;
  readonly reload: boolean;
}

function needsOf(wanted: Wanted, running: HaproxyPlan, frozen: ReadonlySet<string> = NOBODY): Needs {
  const known = slotsOf(running.backends.values());
  const taken: Homeless[] = [];
  const pools: Homeless[] = [];
  for (const service of wanted.values()) {
    const { name, form } = service;
    for (const [pool, servers] of service.pools) {
      if (slotFor(known, service, pool)) continue;
      const spare = fitsSpare(form) && taken.length < running.spares.length;
      (spare ? taken : pools).push({ service: name, pool, form, servers });
    }
  }
  const headers = [...stickyHeadersOf(wanted.values())].filter((header) => !running.stickyHeaders.includes(header));
  const listeners = listenersOf(wanted.values(), running.listeners, frozen);
  const reload = pools.length > 0 || headers.length > 0 || listeners !== running.listeners;
  return { taken, pools, headers, listeners, reload };
}

interface Keeping {
  readonly wanted: Wanted;
  readonly running: HaproxyPlan;
  readonly frozen: ReadonlySet<string>;
  readonly reload: boolean;
  readonly waiting: ReadonlySet<string>;
}

function keptBackends({ wanted, running, frozen, reload, waiting }: Keeping): Map<string, Backend> {
  const named = new Set(running.routes.values());
  const backends = new Map<string, Backend>();
  for (const backend of running.backends.values()) {
    const { service: name, pool, slot } = backend;
    if (frozen.has(name)) {
      backends.set(slot, backend);
      continue;
    }
    const service = wanted.get(name);
    const own = service && sameForm(service.form, backend.form) ? service.pools.get(pool) : undefined;
    const servers = own ?? (service && waiting.has(name) ? stillThere(backend.servers, service) : undefined);
    // Rows of the map that are in place until the new ones are keep their backend through one more reload.
    if (reload && !servers && !named.has(slot)) continue;
    const wantedServers = withNames(backend.servers, servers ?? NO_SERVERS);
    const next = reload ? wantedServers : withLeaving(backend.servers, wantedServers);
    backends.set(slot, next === backend.servers ? backend : { ...backend, servers: next });
  }
  return backends;
}

/** Instances of a backend that are in any pool of the service, as they are there. */
function stillThere(servers: Servers, { pools }: WantedService): Servers {
  const newest = new Map([...pools.values()].flatMap((pool) => [...pool]));
  const here = new Set(Array.from(servers.keys(), instanceOf));
  return new Map([...newest].filter(([id]) => here.has(id)));
}

/** What is wanted, under the names that these servers have in the backend, and new ones where an address is another. */
function withNames(before: Servers, wanted: Servers): Servers {
  if (before === wanted || before.size === 0) return wanted;
  const known = Map.groupBy(before.values(), ({ name }) => instanceOf(name));
  let changed = false;
  const servers = new Map<string, Server>();
  for (const [id, server] of wanted) {
    const name = nameOf(id, server, known.get(id) ?? []);
    const old = before.get(name);
    const next = name === server.name ? server : { ...server, name };
    servers.set(name, old && name !== id && sameServer(old, next) ? old : next);
    changed ||= name !== id;
  }
  return changed ? servers : wanted;
}

function nameOf(id: string, { host, port }: Server, known: readonly Server[]): string {
  const same = known.find((one) => one.host === host && one.port === port);
  if (same || known.length === 0) return same?.name ?? id;
  const last = Math.max(...known.map(({ name }) => Number(name.slice(id.length + 1) || 0)));
  return `${id}.${last + 1}`;
}

function sameServer(a: Server, b: Server): boolean {
  return a.host === b.host && a.port === b.port && a.weight === b.weight && a.state === b.state;
}

function stickyHeadersOf(services: Iterable<WantedService>): Set<string> {
  const headers = new Set<string>();
  for (const { routes } of services) {
    for (const { stickyHeader } of routes) if (stickyHeader !== undefined) headers.add(stickyHeader);
  }
  return headers;
}

/** Of two services that want the same port the one that has it keeps it, else the first by name. */
function listenersOf(
  services: Iterable<WantedService>,
  before: ReadonlyMap<number, Listener>,
  frozen: ReadonlySet<string>,
): ReadonlyMap<number, Listener> {
  const listeners = new Map([...before].filter(([, { service }]) => frozen.has(service)));
  for (const { name, form, localPort } of services) {
    if (localPort === undefined) continue;
    const holder = listeners.get(localPort)?.service;
    const has = before.get(localPort)?.service;
    if (holder !== undefined && (holder === has || (name !== has && holder < name))) continue;
    listeners.set(localPort, { service: name, speaks: form.speaks === "tcp" ? "tcp" : "http" });
  }
  const same = listeners.size === before.size &&
    [...listeners].every(([port, listener]) => sameListener(before.get(port), listener));
  return same ? before : listeners;
}

function sameListener(a: Listener | undefined, b: Listener): boolean {
  return a?.service === b.service && a.speaks === b.speaks;
}

/** The wanted servers, and those of before that HAProxy cannot forget at once. Unchanged, it is the same object. */
function withLeaving(before: Servers, wanted: Servers): Servers {
  if (before === wanted) return before;
  const next = new Map(wanted);
  for (const [name, server] of before) {
    if (!wanted.has(name)) next.set(name, server.state === "leaving" ? server : { ...server, state: "leaving" });
  }
  if (next.size === wanted.size) return wanted;
  const same = next.size === before.size && [...next].every(([name, server]) => before.get(name) === server);
  return same ? before : next;
}

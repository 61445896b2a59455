/**
 * Gives what is wanted its places in HAProxy. A backend keeps its slot for as long as HAProxy knows it, and no slot is
 * ever given to another pool: requests that are under way, and map rows of an old worker, cannot land elsewhere.
 */
import type { Backend, HaproxyPlan, Pool, Servers, Wanted, WantedRoute } from "./plan.ts";
import { NO_INSTANCES, poolName, usable } from "./plan.ts";
import { sharePrefixes } from "./shares.ts";

/** `hold`: HAProxy may not be reloaded now; what needs that stays as it runs, everything else goes on. */
export type Reloading = "allow" | "hold";

/** The plan for what is wanted, built on the one that runs. */
export function assign(wanted: Wanted, running: HaproxyPlan, reloading: Reloading = "allow"): HaproxyPlan {
  const fresh = reloading === "allow" ? whatNeedsReload(wanted, running) : NOTHING_NEW;
  // A reload starts from the files: what is leaving or of no use any more ends there, and only there.
  const reload = fresh.pools.length > 0 || fresh.headers.length > 0;
  const named = new Set(running.routes.values());
  const backends = new Map<string, Backend>();
  for (const backend of running.backends.values()) {
    const servers = wanted.get(backend.service)?.pools.get(backend.pool);
    // Rows of the map that an old worker may still go by keep their backend through one more reload.
    if (reload && !servers && !named.has(backend.slot)) continue;
    const next = reload ? servers ?? NO_SERVERS : withLeaving(backend.servers, servers ?? NO_SERVERS);
    backends.set(backend.slot, next === backend.servers ? backend : { ...backend, servers: next });
  }
  let nextSlot = running.nextSlot;
  for (const pool of fresh.pools) {
    const slot = `b${String(nextSlot++).padStart(3, "0")}`;
    backends.set(slot, { slot, ...pool });
  }
  const stickyHeaders = reload
    ? [...new Set([...stickyHeadersOf(wanted), ...stickyRows(running)])].sort()
    : running.stickyHeaders;
  const rows = rowsOf(wanted, backends, stickyHeaders, running.routes);
  const same = rows.size === running.routes.size &&
    [...rows].every(([key, value]) => running.routes.get(key) === value);
  // The same object, so that nobody has to compare or print it again.
  return { backends, routes: same ? running.routes : rows, stickyHeaders, nextSlot };
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
  const { pools, headers } = whatNeedsReload(wanted, running);
  const sticky = [...wanted.values()].filter(({ routes }) =>
    routes.some(({ stickyHeader }) => stickyHeader !== undefined && headers.includes(stickyHeader))
  );
  return [...new Set([...pools.map(({ service }) => service), ...sticky.map(({ name }) => name)])];
}

const NO_SERVERS: Servers = new Map();

interface Fresh {
  readonly pools: readonly Omit<Backend, "slot">[];
  readonly headers: readonly string[];
}

const NOTHING_NEW: Fresh = { pools: [], headers: [] };

function whatNeedsReload(wanted: Wanted, running: HaproxyPlan): Fresh {
  const known = slotsOf(running.backends.values());
  const pools: Omit<Backend, "slot">[] = [];
  for (const { name, pools: wantedPools } of wanted.values()) {
    for (const [pool, servers] of wantedPools) {
      if (!known.has(poolName(name, pool))) pools.push({ service: name, pool, servers });
    }
  }
  const headers = [...stickyHeadersOf(wanted)].filter((header) => !running.stickyHeaders.includes(header));
  return { pools, headers };
}

function slotsOf(backends: Iterable<Backend>): Map<string, Backend> {
  const slots = new Map<string, Backend>();
  for (const backend of backends) slots.set(poolName(backend.service, backend.pool), backend);
  return slots;
}

function stickyHeadersOf(wanted: Wanted): Set<string> {
  const headers = new Set<string>();
  for (const { routes } of wanted.values()) {
    for (const { stickyHeader } of routes) if (stickyHeader !== undefined) headers.add(stickyHeader);
  }
  return headers;
}

function stickyRows({ routes }: HaproxyPlan): string[] {
  return [...routes].filter(([key]) => key.endsWith(STICKY)).map(([, header]) => header);
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

/** End of the row that says which header is sticky; buckets are numbers, so no lookup of a bucket finds it. */
const STICKY = "/s";

function rowsOf(
  wanted: Wanted,
  backends: ReadonlyMap<string, Backend>,
  stickyHeaders: readonly string[],
  before: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const slots = slotsOf(backends.values());
  const rows = new Map<string, string>();
  for (const { name, pools, routes } of wanted.values()) {
    const slotOf = (pool: Pool) => slots.get(poolName(name, pool));
    const placed = (route: WantedRoute) =>
      route.shares.every(({ pool }) => !pools.has(pool) || slotOf(pool)) &&
      (route.stickyHeader === undefined || stickyHeaders.includes(route.stickyHeader));
    for (const route of routes) {
      if (placed(route)) addRows(rows, route, (pool) => pools.has(pool) ? slotOf(pool) : undefined);
      else keepRows(rows, route, before, backends);
    }
  }
  return rows;
}

function addRows(rows: Map<string, string>, route: WantedRoute, slotOf: (pool: Pool) => Backend | undefined): void {
  const shares = sharePrefixes(route.shares.map(({ share }) => share));
  route.shares.forEach(({ pool }, at) => {
    const backend = slotOf(pool);
    const value = backend && usable(backend.servers) ? backend.slot : NO_INSTANCES;
    for (const prefix of shares[at] ?? []) rows.set(`${route.name}/${prefix}`, value);
  });
  if (route.stickyHeader !== undefined) rows.set(route.name + STICKY, route.stickyHeader);
}

/** A route that waits for a reload leads where it led, as far as somebody is there. */
function keepRows(
  rows: Map<string, string>,
  route: WantedRoute,
  before: ReadonlyMap<string, string>,
  backends: ReadonlyMap<string, Backend>,
): void {
  for (const [key, value] of before) {
    if (!key.startsWith(`${route.name}/`)) continue;
    const backend = backends.get(value);
    rows.set(key, backend && !usable(backend.servers) ? NO_INSTANCES : value);
  }
}

/** Routes as rows of the map file that requests and connections are looked up in. */
import type { Backend, HaproxyPlan, Pool, Wanted, WantedRoute, WantedService } from "./plan.ts";
import { NO_INSTANCES, slotFor, type Slots, TCP_ONLY, usable } from "./plan.ts";
import { ALL_BUCKETS, inTenths, sharePrefixes } from "./shares.ts";

type Rows = HaproxyPlan["routes"];
type Row = readonly [key: string, value: string];

export interface ToRow {
  readonly wanted: Wanted;
  readonly slots: Slots;
  /** By slot. */
  readonly backends: ReadonlyMap<string, Backend>;
  /** Those that there is a rule for. */
  readonly stickyHeaders: readonly string[];
  readonly before: Rows;
  /** Services whose rows stay as they are. */
  readonly frozen: ReadonlySet<string>;
}

/** The rows; the same object as before where they are the same, so that nobody has to compare or print it again. */
export function rowsOf({ wanted, slots, backends, stickyHeaders, before, frozen }: ToRow): Rows {
  const rows = new Map(frozen.size === 0 ? [] : [...before].filter(([key]) => frozen.has(serviceOf(key))));
  let byRoute: ReadonlyMap<string, readonly Row[]> | undefined;
  const kept = () => byRoute ??= Map.groupBy(before, ([key]) => key.slice(0, key.indexOf("/")));
  for (const service of wanted.values()) {
    const { pools, routes } = service;
    const slotOf = (pool: Pool) => pools.has(pool) ? slotFor(slots, service, pool) : undefined;
    for (const route of routes) {
      const placed = route.shares.every(({ pool }) => !pools.has(pool) || slotOf(pool)) &&
        (route.stickyHeader === undefined || stickyHeaders.includes(route.stickyHeader));
      if (placed) addRows(rows, service, route, slotOf);
      else for (const [key, value] of kept().get(route.name) ?? []) rows.set(key, ledTo(value, backends));
    }
  }
  const same = rows.size === before.size && [...rows].every(([key, value]) => before.get(key) === value);
  return same ? before : rows;
}

/** Whether the row is all that there is of its route, so that it means the same beside any other rows. */
export function standsAlone(key: string): boolean {
  return key.endsWith(WHOLE) || key.endsWith(WHOLE_OF_BYTES);
}

/** `canary.identity/12` is a row of identity. */
function serviceOf(key: string): string {
  return key.slice(0, key.indexOf("/")).split(".").at(-1) ?? "";
}

/** Headers that rows call sticky. */
export function stickyRows(rows: Rows): readonly string[] {
  return [...rows].filter(([key]) => key.endsWith(STICKY)).map(([, header]) => header);
}

/** End of the row that says which header is sticky; buckets are numbers, so no lookup of a bucket finds it. */
const STICKY = "/s";

const WHOLE = `/${ALL_BUCKETS}`;
const WHOLE_OF_BYTES = `/p${ALL_BUCKETS}`;

function addRows(
  rows: Map<string, string>,
  { name, form }: WantedService,
  route: WantedRoute,
  slotOf: (pool: Pool) => Backend | undefined,
): void {
  // Bytes say no name: they come by the port of the service, and get what callers get who name no version.
  const bytes = form.speaks === "tcp";
  if (bytes) rows.set(route.name + WHOLE, TCP_ONLY);
  if (bytes && route.name !== name) return;
  const shares = sharePrefixes(route.shares.map(({ share }) => share));
  route.shares.forEach(({ pool }, at) => {
    const backend = slotOf(pool);
    const value = backend && usable(backend.servers) ? backend.slot : NO_INSTANCES;
    // A row for all buckets is found before a sticky header is read.
    const prefixes = route.stickyHeader === undefined ? shares[at] ?? [] : inTenths(shares[at] ?? []);
    for (const prefix of prefixes) rows.set(`${route.name}/${bytes ? "p" : ""}${prefix}`, value);
  });
  if (route.stickyHeader !== undefined) rows.set(route.name + STICKY, route.stickyHeader);
}

/** A route that waits for a reload leads where it led, as far as somebody is there. */
function ledTo(value: string, backends: ReadonlyMap<string, Backend>): string {
  const backend = backends.get(value);
  return backend && !usable(backend.servers) ? NO_INSTANCES : value;
}

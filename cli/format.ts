/** Parts of the map in words, as all commands print them. */
import { toJson } from "@bufbuild/protobuf";
import { type Duration, type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import {
  type Instance,
  Instance_Status,
  type Position,
  PositionSchema,
  type Route,
  type Service,
  ServiceSchema,
} from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { formatAddress } from "../proto/settings.ts";
import type { HeldAt } from "../sdk-ts/fold.ts";

/** `v1`, or `v1=9000 v2=1000`, with the header that makes it sticky. */
export function formatRoute(route: Route | undefined): string {
  if (!route) return "nothing";
  if (route.split.length === 0) return `v${route.version}`;
  const shares = route.split.map(({ version, share }) => `v${version}=${share}`).join(" ");
  return route.stickyHeader ? `${shares} (sticky by ${route.stickyHeader})` : shares;
}

export function formatInstance({ host, port, version, weight, ttl }: Instance): string {
  const lease = ttl ? ` ttl ${formatDuration(ttl)}` : "";
  return `${formatAddress({ host, port })} v${version} weight ${weight}${lease}`;
}

export function formatStatus(status: Instance_Status): string {
  return Instance_Status[status].toLowerCase();
}

/** `15s`, `1.5s`. */
export function formatDuration({ seconds, nanos }: Duration): string {
  const fraction = `${nanos}`.padStart(9, "0").replace(/0+$/, "");
  return `${seconds}${fraction && `.${fraction}`}s`;
}

/** RFC 3339 in UTC, to the ms: what `--at` takes. */
export function formatTime(time: Timestamp | undefined): string {
  return time ? new Date(timestampMs(time)).toISOString() : "-";
}

export const yesNo = (yes: boolean): string => yes ? "yes" : "no";

/** `1 service`, `2 services`. */
export function count(number: number, thing: string): string {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}

/** Services by name; the order of a `Map` is that of arrival. */
export function sorted(services: Iterable<Service>): readonly Service[] {
  return [...services].sort((a, b) => a.name < b.name ? -1 : 1);
}

/** The contract's form of a list: position and services, defaults written out. */
export function mapJson({ position, services }: HeldAt): string {
  const json = { position: positionJson(position), services: sorted(services.values()).map(serviceJson) };
  return JSON.stringify(json, null, 2) + "\n";
}

export function positionJson(position: Position) {
  return toJson(PositionSchema, position, WHOLE);
}

export function serviceJson(service: Service) {
  return toJson(ServiceSchema, service, WHOLE);
}

/** Options of `toJson`: defaults written out. */
export const WHOLE = { alwaysEmitImplicit: true };

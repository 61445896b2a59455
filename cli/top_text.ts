/** What `top` shows. */
import { toJson } from "@bufbuild/protobuf";
import type { Position, Service } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { FollowerStateSchema, type ListFollowersResponse } from "../proto/gen/portolan/v1/fleet_pb.ts";
import { formatPosition } from "../proto/position.ts";
import { type Counts, countsOf } from "./counts.ts";
import { followerRows, unreachableWords } from "./follower_words.ts";
import { count, positionJson, sorted, WHOLE } from "./format.ts";
import type { Size } from "./screen.ts";
import { fits, fitted, share } from "./top_layout.ts";
import type { SidecarSeen, Traffic } from "./top_sidecar.ts";

/** A realm as it was seen last. */
interface Seen {
  readonly realm: string;
  readonly position: Position;
  readonly services: ReadonlyMap<string, Service>;
  /** Unset: not asked yet. */
  readonly fleet?: ListFollowersResponse;
  /** Unset: not asked yet. */
  readonly sidecar?: SidecarSeen;
  /** How often a service changed since the beginning; unset where there was none. */
  readonly changed?: ReadonlyMap<string, number>;
  /** Why it may not be like this any more. */
  readonly problem?: string | undefined;
}

/** As text that fits into a size: each part has its share of the lines, what does not fit is counted. */
export function topText(seen: Seen, { rows, columns }: Size = UNBOUNDED): string {
  const { realm, position, services, problem } = seen;
  const troubled = [...services.values()].filter((service) => inTrouble(countsOf(service))).length;
  const head = [
    `Realm "${realm}" at position ${formatPosition(position)}: ${count(services.size, "service")}`,
    ...(troubled > 0 ? [`${troubled} in trouble`] : []),
  ].join(", ");
  const parts = [serviceLines(seen, columns), sidecarLines(seen, columns), followerLines(seen, columns)];
  // The head, and an empty line before each part.
  const shown = share(parts, rows - 1 - parts.length);
  return [problem ? `${head}. ${problem}` : head, ...shown.flatMap((lines) => ["", ...lines])].join("\n") + "\n";
}

const UNBOUNDED: Size = { rows: Infinity, columns: Infinity };

export function topJson({ position, services, fleet, sidecar }: Seen) {
  return {
    position: positionJson(position),
    services: sorted(services.values()).map((service) => ({ service: service.name, ...countsOf(service) })),
    sidecar: sidecar
      ? { address: sidecar.address, problem: sidecar.problem ?? null, traffic: sidecar.traffic ?? [] }
      : null,
    followers: fleet?.followers.map((state) => toJson(FollowerStateSchema, state, WHOLE)) ?? [],
  };
}

interface Counted {
  readonly name: string;
  readonly counts: Counts;
}

/** Those in trouble first, then by name. */
function ordered(services: Iterable<Service>): readonly Counted[] {
  const list = sorted(services).map((service) => ({ name: service.name, counts: countsOf(service) }));
  return [...list.filter(({ counts }) => inTrouble(counts)), ...list.filter(({ counts }) => !inTrouble(counts))];
}

function inTrouble({ total, up, failing, held }: Counts): boolean {
  return failing > 0 || held > 0 || (total > 0 && up === 0);
}

const HEAD = ["SERVICE", "UP", "PASSING", "FAILING", "UNKNOWN", "DRAINING", "HELD"];

function row({ name, counts }: Counted, changed: Seen["changed"]): string[] {
  const { up, total, passing, failing, unknown, draining, held } = counts;
  const numbers = [passing, failing, unknown, draining, held, ...(changed ? [changed.get(name) ?? 0] : [])];
  return [name, `${up}/${total}`, ...numbers.map((number) => `${number || "-"}`)];
}

function serviceLines({ services, changed }: Seen, columns: number): readonly string[] {
  const head = changed ? [...HEAD, "CHANGES"] : HEAD;
  return fitted([head, ...ordered(services.values()).map((one) => row(one, changed))], columns, [0]);
}

const TRAFFIC_HEAD = ["CALLED HERE", "VERSION", "REQUESTS/S", "ERRORS/S", "MEAN MS", "CURRENT"];

function sidecarLines({ sidecar }: Seen, columns: number): readonly string[] {
  if (!sidecar) return ["Asking the sidecar"];
  const { address, problem, traffic } = sidecar;
  if (problem !== undefined) return [problem];
  if (!traffic) return [`Asking the sidecar at ${address}`];
  return fitted([TRAFFIC_HEAD, ...traffic.map(trafficRow)], columns, [0]);
}

function trafficRow({ service, version, requestsPerSecond, errorsPerSecond, meanResponseMs, current }: Traffic) {
  const numbers = [requestsPerSecond, errorsPerSecond, meanResponseMs, current];
  return [service, version === null ? "-" : `v${version}`, ...numbers.map((number) => `${number || "-"}`)];
}

function followerLines({ fleet }: Seen, columns: number): readonly string[] {
  if (!fleet) return ["Asking who follows"];
  const whole = followerRows(fleet);
  const away = unreachableWords(fleet.unreachable).trimEnd();
  const list = fleet.followers.length === 0 ? ["No followers"] : fits(whole, columns)
    ? fitted(whole, columns, [])
    // What was received and not applied is the lag; who is cut is told by the first letters.
    : fitted(followerRows(fleet, ["PROGRAM", "RECEIVED"]), columns, [REFUSED_AT, ZONE_AT, 0]);
  return away ? [...list, away] : list;
}

/** Where columns are once some are left out. */
const [ZONE_AT, REFUSED_AT] = [2, 6];

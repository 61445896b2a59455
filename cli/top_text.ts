/** What `top` shows. */
import { toJson } from "@bufbuild/protobuf";
import type { Position, Service } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { FollowerStateSchema, type ListFollowersResponse } from "../proto/gen/portolan/v1/fleet_pb.ts";
import { formatPosition } from "../sdk-ts/fold.ts";
import { type Counts, countsOf } from "./counts.ts";
import { followersTable } from "./follower_words.ts";
import { count, positionJson, sorted, WHOLE } from "./format.ts";
import { table } from "./table.ts";

/** A realm as it was seen last. */
interface Seen {
  readonly realm: string;
  readonly position: Position;
  readonly services: ReadonlyMap<string, Service>;
  /** Unset: not asked yet. */
  readonly fleet?: ListFollowersResponse;
  /** How often a service changed since the beginning; unset where there was none. */
  readonly changed?: ReadonlyMap<string, number>;
  /** Why it may not be like this any more. */
  readonly problem?: string | undefined;
}

/** As text of at most so many lines: followers keep a third of them, what does not fit is counted. */
export function topText(seen: Seen, rows = Infinity): string {
  const { realm, position, services, fleet, changed, problem } = seen;
  const list = ordered(services.values());
  const troubled = list.filter(({ counts }) => inTrouble(counts)).length;
  const head = [
    `Realm "${realm}" at position ${formatPosition(position)}: ${count(services.size, "service")}`,
    ...(troubled > 0 ? [`${troubled} in trouble`] : []),
  ].join(", ");
  const above = linesOf(table([changed ? [...HEAD, "CHANGES"] : HEAD, ...list.map((one) => row(one, changed))]));
  const below = fleet ? linesOf(followersTable(fleet)) : ["Asking who follows"];
  // The head, and an empty line before each table.
  const room = rows - 3;
  const least = Math.min(below.length, Math.floor(room / 3));
  const shown = cut(above, room - least);
  return [problem ? `${head}. ${problem}` : head, "", ...shown, "", ...cut(below, room - shown.length)].join("\n") +
    "\n";
}

export function topJson({ position, services, fleet }: Seen) {
  return {
    position: positionJson(position),
    services: sorted(services.values()).map((service) => ({ service: service.name, ...countsOf(service) })),
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

function linesOf(text: string): readonly string[] {
  return text.trimEnd().split("\n");
}

function cut(lines: readonly string[], most: number): readonly string[] {
  if (lines.length <= most) return lines;
  return [...lines.slice(0, Math.max(0, most - 1)), `… ${lines.length - Math.max(0, most - 1)} more`];
}

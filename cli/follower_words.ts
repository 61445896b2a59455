/** Followers in words: for the list, and for who waits for them. */
import { toJson } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Position } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { Follower_Kind } from "../proto/gen/portolan/v1/discovery_pb.ts";
import {
  type FollowerState,
  type ListFollowersResponse,
  ListFollowersResponseSchema,
} from "../proto/gen/portolan/v1/fleet_pb.ts";
import { formatPosition } from "../proto/position.ts";
import { WHOLE, yesNo } from "./format.ts";
import { table } from "./table.ts";

/** A table of followers against where the map stands, and the control planes that could not be asked. */
export function followersTable(response: ListFollowersResponse): string {
  const list = response.followers.length > 0 ? table(followerRows(response)) : "No followers\n";
  return list + unreachableWords(response.unreachable);
}

/** Rows of that table, the first of them the names of the columns; `left` are columns that are left out. */
export function followerRows(
  { position, followers }: ListFollowersResponse,
  left: readonly FollowerColumn[] = [],
): readonly (readonly string[])[] {
  const rows = [HEAD, ...followers.map((state) => row(state, position))];
  return rows.map((cells) => cells.filter((_, at) => !left.some((name) => name === HEAD[at])));
}

export function followersJson(response: ListFollowersResponse) {
  return toJson(ListFollowersResponseSchema, response, WHOLE);
}

/** A line for those that could not be asked, if any. */
export function unreachableWords(unreachable: readonly string[]): string {
  return unreachable.length > 0 ? `Control planes that could not be asked: ${unreachable.join(", ")}\n` : "";
}

/** Why a follower does not route by `revision` of the epoch of `running`. `nowMs` is the time of day. */
export function laggardWords(
  state: FollowerState,
  revision: bigint,
  running: Position | undefined,
  nowMs: number,
): string {
  const { connected, lastSeen, applied, refused } = state;
  const ago = lastSeen ? `, last heard ${Math.max(0, Math.round((nowMs - timestampMs(lastSeen)) / 1000))} s ago` : "";
  return [
    ...(connected ? [] : [`not connected${ago}`]),
    // Who is away has said nothing to this control plane, whatever it has applied.
    ...(connected || applied ? behindWords(applied, revision, running) : []),
    ...refused.map(({ service, reason }) => `cannot use service "${service}": ${reason}`),
  ].join("; ") || `at position ${applied && formatPosition(applied)}`;
}

function behindWords(applied: Position | undefined, revision: bigint, running: Position | undefined): string[] {
  if (!applied) return ["has applied nothing yet"];
  // Revisions of two epochs cannot be held against each other.
  if (running && applied.epoch !== running.epoch) return [`in epoch ${applied.epoch}, not ${running.epoch}`];
  return applied.revision < revision ? [`behind, at revision ${applied.revision}`] : [];
}

const HEAD = ["ID", "KIND", "PROGRAM", "ZONE", "CONNECTED", "RECEIVED", "APPLIED", "LAG", "REFUSED"] as const;
type FollowerColumn = (typeof HEAD)[number];

function row(state: FollowerState, newest: Position | undefined): string[] {
  const { follower, received, applied, connected, refused } = state;
  const at = (position: Position | undefined) => position ? `${position.revision}` : "";
  const cells = [
    follower?.id ?? "",
    kindWord(follower?.kind),
    follower?.program ?? "",
    follower?.zone ?? "",
    yesNo(connected),
    at(received),
    at(applied),
    lagOf(state, newest),
    refused.map(({ service }) => service).join(" "),
  ];
  return cells.map((cell) => cell || "-");
}

/** In revisions. Who looks on applies nothing, so what it holds counts; positions of another epoch say nothing. */
function lagOf({ follower, received, applied }: FollowerState, newest: Position | undefined): string {
  const at = kindWord(follower?.kind) === "tool" ? received : applied;
  if (!at || !newest) return "";
  if (at.epoch !== newest.epoch) return `epoch ${at.epoch}`;
  return `${newest.revision > at.revision ? newest.revision - at.revision : 0n}`;
}

function kindWord(kind: Follower_Kind | undefined): string {
  return Follower_Kind[kind || Follower_Kind.TOOL].toLowerCase();
}

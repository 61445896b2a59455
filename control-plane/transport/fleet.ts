/** Followers, arrivals and history as the contract has them. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Arrival } from "../app/fleet.ts";
import type { FollowerState } from "../app/followers.ts";
import type { HistoryEntry, HistoryQuery } from "../app/history.ts";
import type { Position } from "../domain/cluster_map.ts";
import {
  parseOperationId,
  parseRealm,
  parseRevision,
  parseServiceName,
  type Realm,
  type Revision,
} from "../domain/names.ts";
import type { Refusal } from "../domain/refusal.ts";
import { Follower_Kind } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import * as pb from "../../proto/gen/portolan/v1/fleet_pb.ts";
import { addUnknown, millisOf } from "./decode.ts";
import { toService } from "./messages.ts";
import { Violations } from "./violations.ts";

const KINDS = { sidecar: Follower_Kind.SIDECAR, sdk: Follower_Kind.SDK, tool: Follower_Kind.TOOL };

/** Nobody waits longer, in ms. */
export const MAX_WAIT_MS = 600_000;

export function followersResponse(position: Position, followers: readonly FollowerState[]): pb.ListFollowersResponse {
  return create(pb.ListFollowersResponseSchema, { position, followers: followers.map(toFollowerState) });
}

export function waitResponse({ done, revision, laggards }: Arrival): pb.WaitForRevisionResponse {
  const { DONE, WAITING } = pb.WaitForRevisionResponse_Verdict;
  const verdict = done ? DONE : WAITING;
  return create(pb.WaitForRevisionResponseSchema, { verdict, revision, laggards: laggards.map(toFollowerState) });
}

export function historyResponse({ revision, note, before, after }: HistoryEntry): pb.HistoryResponse {
  const { time, identity, reason = "", operation, operationId = "" } = note;
  return create(pb.HistoryResponseSchema, {
    revision,
    operationId,
    time: timestampFromMs(time),
    identity,
    reason,
    operation,
    ...(before && { before: toService(before) }),
    ...(after && { after: toService(after) }),
  });
}

export function historyQuery(request: pb.HistoryRequest): HistoryQuery | Refusal {
  const fields = new Violations();
  addUnknown(fields, request, "");
  const { service, operationId, limit } = request;
  const query: HistoryQuery = {
    realm: fields.take("realm", parseRealm(request.realm)),
    ...(service !== "" && { service: fields.take("service", parseServiceName(service)) }),
    after: fields.take("after", parseRevision(request.after)),
    ...(operationId !== "" && { operationId: fields.take("operationId", parseOperationId(operationId)) }),
    ...(limit > 0 && { limit }),
  };
  return fields.refusal() ?? query;
}

/** What is waited for, and for how many ms. */
export interface Wait {
  readonly realm: Realm;
  readonly revision: Revision;
  readonly timeoutMs: number;
}

export function waitOf(request: pb.WaitForRevisionRequest): Wait | Refusal {
  const fields = new Violations();
  addUnknown(fields, request, "");
  const realm = fields.take("realm", parseRealm(request.realm));
  const revision = fields.take("revision", parseRevision(request.revision));
  const timeoutMs = request.timeout ? millisOf(request.timeout) ?? -1 : 0;
  if (timeoutMs < 0 || timeoutMs > MAX_WAIT_MS) fields.add("timeout", "expected 0 s to 600 s, in whole ms");
  return fields.refusal() ?? { realm, revision, timeoutMs };
}

function toFollowerState({ follower, scope, received, applied, refused, connected, lastSeen }: FollowerState) {
  return create(pb.FollowerStateSchema, {
    follower: { ...follower, kind: KINDS[follower.kind] },
    scope: { realm: scope.realm, services: [...scope.services ?? []].sort() },
    ...(received && { received }),
    ...(applied && { applied }),
    refused: [...refused],
    connected,
    ...(lastSeen !== undefined && { lastSeen: timestampFromMs(lastSeen) }),
  });
}

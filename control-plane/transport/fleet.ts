/** Followers as the contract has them. */
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { FollowerState } from "../app/followers.ts";
import type { Position } from "../domain/cluster_map.ts";
import { Follower_Kind } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { type ListFollowersResponse, ListFollowersResponseSchema } from "../../proto/gen/portolan/v1/fleet_pb.ts";

const KINDS = { sidecar: Follower_Kind.SIDECAR, sdk: Follower_Kind.SDK, tool: Follower_Kind.TOOL };

export function followersResponse(position: Position, followers: readonly FollowerState[]): ListFollowersResponse {
  return create(ListFollowersResponseSchema, {
    position,
    followers: followers.map(({ follower, scope, received, applied, refused, lastSeen }) => ({
      follower: { ...follower, kind: KINDS[follower.kind] },
      scope: { realm: scope.realm, services: [...scope.services ?? []].sort() },
      ...(received && { received }),
      ...(applied && { applied }),
      refused: [...refused],
      connected: true,
      lastSeen: timestampFromMs(lastSeen),
    })),
  });
}

import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { PositionSchema } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { Follower_Kind } from "../proto/gen/portolan/v1/discovery_pb.ts";
import { FollowerStateSchema, ListFollowersResponseSchema } from "../proto/gen/portolan/v1/fleet_pb.ts";
import { followersTable, laggardWords } from "./follower_words.ts";

const position = create(PositionSchema, { epoch: 2n, revision: 9n });
const at = (revision: bigint, epoch = 2n) => ({ epoch, revision });

Deno.test("followersTable() holds each follower against the map", () => {
  const followers = [
    {
      follower: { id: "rack1", kind: Follower_Kind.SIDECAR, program: "sidecar/0.1.0", zone: "a" },
      connected: true,
      received: at(9n),
      applied: at(7n),
      refused: [{ service: "identity", reason: "no" }, { service: "teams", reason: "no" }],
    },
    { follower: { id: "gone", kind: Follower_Kind.SIDECAR } },
    { follower: { id: "old", kind: Follower_Kind.SDK }, connected: true, received: at(90n, 1n), applied: at(90n, 1n) },
    { follower: { id: "tool-1" }, connected: true, received: at(8n) },
  ];
  assert.equal(
    followersTable(create(ListFollowersResponseSchema, { position, followers, unreachable: ["h:1", "h:2"] })),
    `ID      KIND     PROGRAM        ZONE  CONNECTED  RECEIVED  APPLIED  LAG      REFUSED
rack1   sidecar  sidecar/0.1.0  a     yes        9         7        2        identity teams
gone    sidecar  -              -     no         -         -        -        -
old     sdk      -              -     yes        90        90       epoch 1  -
tool-1  tool     -              -     yes        8         -        1        -
Control planes that could not be asked: h:1, h:2
`,
  );
  assert.equal(followersTable(create(ListFollowersResponseSchema, { position })), "No followers\n");
});

Deno.test("laggardWords() says everything that keeps a follower back", () => {
  const nowMs = 1_000_000;
  const words = (init: MessageInitShape<typeof FollowerStateSchema>) =>
    laggardWords(create(FollowerStateSchema, init), 9n, position, nowMs);
  assert.equal(
    words({ connected: false, lastSeen: timestampFromMs(nowMs - 12_400) }),
    "not connected, last heard 12 s ago",
  );
  assert.equal(words({ connected: false, applied: at(9n) }), "not connected");
  assert.equal(words({ connected: true }), "has applied nothing yet");
  assert.equal(words({ connected: true, applied: at(7n) }), "behind, at revision 7");
  assert.equal(
    words({ connected: true, applied: at(9n), refused: [{ service: "identity", reason: "too many rows" }] }),
    'cannot use service "identity": too many rows',
  );
  assert.equal(words({ connected: true, applied: at(90n, 1n) }), "in epoch 1, not 2");
  assert.equal(words({ connected: false, applied: at(3n, 1n) }), "not connected; in epoch 1, not 2");
});

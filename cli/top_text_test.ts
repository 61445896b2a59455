import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Instance_Status, PositionSchema, ServiceSchema } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { Follower_Kind } from "../proto/gen/portolan/v1/discovery_pb.ts";
import { ListFollowersResponseSchema } from "../proto/gen/portolan/v1/fleet_pb.ts";
import { frame } from "./screen.ts";
import { topJson, topText } from "./top_text.ts";

const { PASSING, FAILING, UNKNOWN } = Instance_Status;
const instance = { enabled: true, status: PASSING };
const service = (init: MessageInitShape<typeof ServiceSchema>) =>
  [init.name ?? "", create(ServiceSchema, { enabled: true, ...init })] as const;
const position = create(PositionSchema, { epoch: 1n, revision: 9n });
const followers = [
  { follower: { id: "rack1", kind: Follower_Kind.SIDECAR }, connected: true, received: position, applied: position },
];
const SEEN = {
  realm: "local",
  position,
  services: new Map([
    service({ name: "teams", instances: [instance, { ...instance, status: FAILING }] }),
    service({
      name: "identity",
      instances: [instance, { ...instance, draining: true }, { ...instance, enabled: false }],
    }),
    service({ name: "search", instances: [{ ...instance, status: UNKNOWN, held: true }] }),
    service({ name: "off", enabled: false, instances: [instance] }),
    service({ name: "empty" }),
  ]),
  fleet: create(ListFollowersResponseSchema, { position, followers }),
};

Deno.test("topText() counts each service's instances, those in trouble first", () => {
  assert.equal(
    topText({ ...SEEN, changed: new Map([["teams", 3]]) }),
    `Realm "local" at position 1.9: 5 services, 3 in trouble

SERVICE   UP   PASSING  FAILING  UNKNOWN  DRAINING  HELD  CHANGES
off       0/1  1        -        -        -         -     -
search    1/1  -        -        1        -         1     -
teams     1/2  1        1        -        -         -     3
empty     0/0  -        -        -        -         -     -
identity  1/3  3        -        -        1         -     -

ID     KIND     PROGRAM  ZONE  CONNECTED  RECEIVED  APPLIED  LAG  REFUSED
rack1  sidecar  -        -     yes        9         9        0    -
`,
  );
});

Deno.test("topText() keeps to the lines there are, and counts what it leaves out", () => {
  for (const rows of [8, 9, 10, 20]) {
    const lines = topText(SEEN, rows).trimEnd().split("\n");
    assert.ok(lines.length <= rows, `${lines.length} of ${rows}`);
    assert.ok(lines.some((line) => line.startsWith("rack1")) || rows < 9, lines.join("\n"));
  }
  const many = create(ListFollowersResponseSchema, { position, followers: Array(50).fill(followers[0]) });
  const lines = topText({ ...SEEN, fleet: many }, 24).trimEnd().split("\n");
  assert.deepEqual([lines.length, lines.at(-1), lines[7]], [24, "… 37 more", lines[7]]);
  assert.match(topText(SEEN, 9), /^… 3 more$/m);
});

Deno.test("topText() says what it does not know, and why it may be old", () => {
  const { fleet: _, ...seen } = SEEN;
  assert.match(
    topText({ ...seen, problem: "Not connected" }),
    /in trouble\. Not connected\n[^]*\nAsking who follows\n$/,
  );
});

Deno.test("topJson() has the same numbers", () => {
  const { services, followers } = topJson(SEEN);
  assert.deepEqual(services[4], {
    service: "teams",
    total: 2,
    up: 1,
    passing: 1,
    failing: 1,
    unknown: 0,
    draining: 0,
    held: 0,
  });
  assert.equal(followers.length, 1);
});

Deno.test("frame() wipes what was there, and never makes the terminal scroll", () => {
  assert.equal(frame("wide line\nb\nc\n", { columns: 4, rows: 2 }), "\x1b[H\x1b[Kwide\r\n\x1b[Kb\x1b[J");
});

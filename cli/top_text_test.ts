import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Instance_Status, PositionSchema, ServiceSchema } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { Follower_Kind } from "../proto/gen/portolan/v1/discovery_pb.ts";
import { ListFollowersResponseSchema } from "../proto/gen/portolan/v1/fleet_pb.ts";
import { frame } from "./screen.ts";
import { topJson, topText } from "./top_text.ts";

const { PASSING, FAILING, UNKNOWN } = Instance_Status;
const instance = { enabled: true, weight: 100, status: PASSING };
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
      instances: [
        instance,
        { ...instance, draining: true },
        { ...instance, enabled: false },
        { ...instance, weight: 0 },
      ],
    }),
    service({ name: "search", instances: [{ ...instance, status: UNKNOWN, held: true }] }),
    service({ name: "off", enabled: false, instances: [instance] }),
    service({ name: "empty" }),
  ]),
  sidecar: {
    address: "127.0.0.1:7412",
    traffic: [
      { service: "teams", version: 1, requestsPerSecond: 12.5, errorsPerSecond: 2, meanResponseMs: 3.4, current: 1 },
      { service: "gone", version: null, requestsPerSecond: 0, errorsPerSecond: 0, meanResponseMs: 0, current: 7 },
    ],
  },
  fleet: create(ListFollowersResponseSchema, { position, followers }),
};
const NARROW = { columns: 80, rows: Infinity };
const rowsOf = (rows: number) => ({ columns: Infinity, rows });
const LONG = "n".repeat(63);

Deno.test("topText() counts each service's instances, those in trouble first", () => {
  assert.equal(
    topText({ ...SEEN, changed: new Map([["teams", 3]]) }),
    `Realm "local" at position 1.9: 5 services, 3 in trouble

SERVICE   UP   PASSING  FAILING  UNKNOWN  DRAINING  HELD  CHANGES
off       0/1  1        -        -        -         -     -
search    1/1  -        -        1        -         1     -
teams     1/2  1        1        -        -         -     3
empty     0/0  -        -        -        -         -     -
identity  1/4  4        -        -        1         -     -

CALLED HERE  VERSION  REQUESTS/S  ERRORS/S  MEAN MS  CURRENT
teams        v1       12.5        2         3.4      1
gone         -        -           -         -        7

ID     KIND     PROGRAM  ZONE  CONNECTED  RECEIVED  APPLIED  LAG  REFUSED
rack1  sidecar  -        -     yes        9         9        0    -
`,
  );
});

Deno.test("topText() keeps to the lines there are, and counts what it leaves out", () => {
  for (const rows of [8, 9, 10, 20]) {
    const lines = topText(SEEN, rowsOf(rows)).trimEnd().split("\n");
    assert.ok(lines.length <= rows, `${lines.length} of ${rows}`);
    assert.ok(lines.some((line) => line.startsWith("rack1")) || rows < 9, lines.join("\n"));
  }
  const many = create(ListFollowersResponseSchema, { position, followers: Array(50).fill(followers[0]) });
  const lines = topText({ ...SEEN, fleet: many }, rowsOf(24)).trimEnd().split("\n");
  assert.deepEqual([lines.length, lines.at(-1), lines[7]], [24, "… 41 more", lines[7]]);
  assert.match(topText(SEEN, rowsOf(11)), /^… 5 more$/m);
});

Deno.test("topText() fits into 80 columns, whatever names are in it, and shows what is asked for first", () => {
  const program = "portolan-sidecar/0.1.0";
  const refused = [{ service: LONG, reason: "no" }, { service: "teams", reason: "no" }];
  const states = [
    { ...followers[0], follower: { id: "rack1", kind: Follower_Kind.SIDECAR, program, zone: "a" } },
    { ...followers[0], follower: { id: LONG, kind: Follower_Kind.SIDECAR, program, zone: LONG }, refused },
  ];
  const traffic = { version: 4_294_967_295, requestsPerSecond: 10_000.5, errorsPerSecond: 1, meanResponseMs: 0.1 };
  const seen = {
    ...SEEN,
    services: new Map([service({ name: LONG, instances: [instance] }), service({ name: "teams" })]),
    changed: new Map([[LONG, 1_000]]),
    sidecar: { address: "127.0.0.1:7412", traffic: [{ service: LONG, ...traffic, current: 12_345 }] },
    fleet: create(ListFollowersResponseSchema, { position, followers: states, unreachable: ["127.0.0.1:7401"] }),
  };
  const text = topText(seen, NARROW);
  assert.deepEqual(text.split("\n").filter((line) => [...line].length > 80), []);
  assert.match(text, /^SERVICE +UP .* CHANGES$/m);
  assert.match(text, /^n{8,}… +v4294967295 +10000.5 +1 +0.1 +12345$/m);
  assert.match(text, /^ID +KIND +ZONE +CONNECTED +APPLIED +LAG +REFUSED$/m);
  assert.match(text, /^rack1 +sidecar +a +yes +9 +0 +-$/m);
  assert.match(text, /^n{8,}… +sidecar +n{7,}… +yes +9 +0 +n{7}…$/m);
  assert.match(text, /^Control planes that could not be asked: 127.0.0.1:7401$/m);
  assert.match(topText(seen), /RECEIVED/, "where there is room nothing is left out");
});

Deno.test("topText() says why it shows no calls", () => {
  const { sidecar: _, ...seen } = SEEN;
  assert.match(topText(seen), /\n\nAsking the sidecar\n\nID/);
  const address = "127.0.0.1:7412";
  assert.match(topText({ ...seen, sidecar: { address } }), /\n\nAsking the sidecar at 127.0.0.1:7412\n\n/);
  const problem = `No sidecar answers at ${address}`;
  assert.match(topText({ ...seen, sidecar: { address, problem } }), /\n\nNo sidecar answers at 127.0.0.1:7412\n\n/);
});

Deno.test("topText() says what it does not know, and why it may be old", () => {
  const { fleet: _, ...seen } = SEEN;
  assert.match(
    topText({ ...seen, problem: "Not connected" }),
    /in trouble\. Not connected\n[^]*\nAsking who follows\n$/,
  );
});

Deno.test("topJson() has the same numbers", () => {
  const { services, followers, sidecar } = topJson(SEEN);
  assert.deepEqual(sidecar, { ...SEEN.sidecar, problem: null });
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

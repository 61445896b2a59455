import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { WatchRequestSchema } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { BAD_NAMES } from "./bad_writes.ts";
import { each, startedControlPlane } from "./control_plane.ts";
import { rawClient } from "./raw_grpc.ts";

const WATCH = "/portolan.v1.DiscoveryService/Watch";

type Said = NonNullable<NonNullable<MessageInitShape<typeof WatchRequestSchema>["message"]>>;
type Subscribe = Extract<Said, { case: "subscribe" }>["value"];

const subscribe = (more: Partial<Subscribe> = {}): Said => ({
  case: "subscribe",
  value: { scope: { realm: "local" }, subscription: 1, ...more } as Subscribe,
});
const received = (epoch: bigint, revision: bigint): Said => ({
  case: "received",
  value: { position: { epoch, revision } },
});
const applied = (epoch: bigint, revision: bigint): Said => ({
  case: "applied",
  value: { position: { epoch, revision } },
});

const MOST = 2n ** 63n - 1n;

/** What is said on one stream, then the fields that the refusal names. */
const MISUSES: readonly (readonly [name: string, said: readonly Said[], ...fields: string[]])[] = [
  ["nothing", [{ case: undefined }], "message"],
  ["received first", [received(1n, 1n)], "message"],
  ["applied first", [applied(1n, 1n)], "message"],
  ["goodbye first", [{ case: "goodbye", value: {} }], "message"],
  ["nothing after subscribe", [subscribe(), { case: undefined }], "message"],

  ["no scope", [{ case: "subscribe", value: {} }], "scope", "realm"],
  ["no realm", [subscribe({ scope: {} })], "realm"],
  ["bad services", [subscribe({ scope: { realm: "local", services: ["a", "B"] } })], "services[1]"],
  ["after nowhere", [subscribe({ after: {} })], "after.epoch"],
  ["after an epoch beyond all", [subscribe({ after: { epoch: MOST + 1n } })], "after.epoch"],
  ["after the last of all epochs", [subscribe({ after: { epoch: MOST, revision: 1n } })], "after"],
  ["after a revision beyond all", [subscribe({ after: { epoch: 1n, revision: 2n ** 64n - 1n } })], "after.revision"],
  ...Object.entries(BAD_NAMES).flatMap(([what, name]): typeof MISUSES => [
    [`a realm with ${what}`, [subscribe({ scope: { realm: name } })], "realm"],
    [`a follower with ${what}`, [subscribe({ follower: { id: name } })], "follower.id"],
    [`a zone with ${what}`, [subscribe({ follower: { id: "a", zone: name } })], "follower.zone"],
    [`a nameless follower's zone with ${what}`, [subscribe({ follower: { zone: name } })], "follower.zone"],
  ]),

  ["another realm", [subscribe(), subscribe({ scope: { realm: "testing" }, subscription: 2 })], "realm"],
  ["a number twice", [subscribe(), subscribe()], "subscription"],
  ["a number below", [subscribe({ subscription: 7 }), subscribe({ subscription: 6 })], "subscription"],
  ["a bad realm the second time", [subscribe(), subscribe({ scope: { realm: "A" }, subscription: 2 })], "realm"],
  [
    "a bad service the second time",
    [subscribe(), subscribe({ scope: { realm: "local", services: ["A"] } })],
    "services[0]",
  ],

  ["received nothing", [subscribe(), { case: "received", value: {} }], "position"],
  ["applied nothing", [subscribe(), { case: "applied", value: {} }], "position"],
  ["received of no epoch", [subscribe(), received(0n, 1n)], "position.epoch"],
  ["applied of no epoch", [subscribe(), applied(0n, 1n)], "position.epoch"],
  ["received beyond all", [subscribe(), received(1n, MOST + 1n)], "position.revision"],
  ["a program with a line end", [subscribe({ follower: { id: "a", program: "a\n" } })], "follower.program"],
  ["a nameless program with an escape", [subscribe({ follower: { program: "\x1b[2J" } })], "follower.program"],
  ["a program in other letters", [subscribe({ follower: { program: "prögram/1" } })], "follower.program"],
  ["a program of 257 characters", [subscribe({ follower: { program: "p".repeat(257) } })], "follower.program"],
  [
    "applied, but not what has no name",
    [subscribe(), {
      case: "applied",
      value: { position: { epoch: 1n, revision: 1n }, refused: [{ service: "a" }, { service: "A" }, {}] },
    }],
    "refused[1].service",
    "refused[2].service",
  ],
  ["all of it wrong", [subscribe(), applied(MOST + 1n, MOST + 1n)], "position.epoch", "position.revision"],
];

const message = (said: Said) => create(WatchRequestSchema, { message: said });
const encode = (one: ReturnType<typeof message>) => toBinary(WatchRequestSchema, one);

Deno.test("Watch refuses misuse, naming the field, and lists nobody who was refused", async () => {
  await using plane = await startedControlPlane();
  using client = rawClient(plane.grpc);
  const before = await plane.map();
  await each(MISUSES, async ([name, said, ...fields]) => {
    const { code, details, fields: named } = await client.call(WATCH, ...said.map((one) => encode(message(one))));
    assert.deepEqual([code, named], ["INVALID_ARGUMENT", fields], `${name}: ${code}: ${details}`);
  });
  assert.equal(await plane.map(), before);
  for (const realm of ["local", "testing"]) {
    const { followers } = await (await fetch(`${plane.http}/api/v1/realms/${realm}/followers`)).json();
    assert.deepEqual(followers, []);
  }
});

Deno.test("Watch refuses fields of a later contract, at every depth", async () => {
  await using plane = await startedControlPlane();
  using client = rawClient(plane.grpc);
  const later = [{ no: 99, wireType: 0, data: Uint8Array.of(1) }];
  const cases: [pick: (value: never) => object, field: string][] = [
    [(value) => value, "message.99"],
    [({ scope }) => scope, "message.scope.99"],
    [({ follower }) => follower, "message.follower.99"],
    [({ after }) => after, "message.after.99"],
  ];
  const full = () => message(subscribe({ follower: { id: "a" }, after: { epoch: 1n, revision: 1n } }));
  await each(cases, async ([pick, field]) => {
    const one = full();
    Object.assign(pick(one.message.value as never), { $unknown: later });
    assert.deepEqual((await client.call(WATCH, encode(one))).fields, [field]);
  });
  assert.deepEqual((await client.call(WATCH, encode(Object.assign(full(), { $unknown: later })))).fields, ["99"]);
});

Deno.test("Watch takes what is odd and harmless", async () => {
  await using plane = await startedControlPlane();
  using client = rawClient(plane.grpc);
  const odd: Said[][] = [
    [],
    [subscribe({ subscription: 0 })],
    [subscribe({ follower: { id: "a", kind: 99 as never } })],
    [subscribe({ after: { epoch: 1n, revision: MOST } })],
    [subscribe(), { case: "goodbye", value: {} }],
    [subscribe({ scope: { realm: "nowhere", services: ["a", "a"] } })],
    // Words on updates that never were.
    [subscribe(), received(MOST, MOST), applied(1n, 0n)],
  ];
  await each(odd, async (said) => {
    const { code, details } = await client.call(WATCH, ...said.map((one) => encode(message(one))));
    assert.deepEqual([code, details], ["OK", "OK"]);
  });
});

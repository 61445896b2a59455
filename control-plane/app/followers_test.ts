import assert from "node:assert/strict";
import type { Epoch, Realm, Revision, ServiceName } from "../domain/names.ts";
import { type Follower, Followers } from "./followers.ts";

const LOCAL = "local" as Realm;
const local = { realm: LOCAL };
const sidecar = (id: string): Follower => ({ id, kind: "sidecar", program: "test/1", zone: "" });
const at = (revision: bigint) => ({ epoch: 7n as Epoch, revision: revision as Revision });

Deno.test("Followers lists who is connected to a realm, with what they said last", () => {
  let now = 100;
  let changes = 0;
  const followers = new Followers(() => now, () => changes++);
  const b = followers.connect(sidecar("b"), local);
  followers.connect(sidecar("a"), local);
  followers.connect(sidecar("elsewhere"), { realm: "testing" as Realm });
  now = 200;
  b.received(at(3n));
  b.applied(at(2n), [{ service: "s", reason: "why" }]);
  assert.deepEqual([...followers.of(LOCAL)], [
    {
      follower: sidecar("b"),
      scope: local,
      received: at(3n),
      applied: at(2n),
      refused: [{ service: "s", reason: "why" }],
      connected: true,
      lastSeen: 200,
    },
    { follower: sidecar("a"), scope: local, refused: [], connected: true, lastSeen: 100 },
  ]);
  b[Symbol.dispose]();
  assert.deepEqual([...followers.of(LOCAL)].map(({ follower }) => follower.id), ["a"]);
  assert.equal(changes, 5, "who came, who went, and what was applied");
});

Deno.test("Followers lets the newest connection speak for a follower that came back", () => {
  const followers = new Followers(() => 0);
  const old = followers.connect(sidecar("a"), local);
  old.received(at(9n));
  followers.connect(sidecar("a"), local).received(at(2n));
  assert.equal(followers.find(LOCAL, "sidecar", "a")?.received?.revision, 2n);
  old[Symbol.dispose]();
  assert.equal(followers.find(LOCAL, "sidecar", "a")?.received?.revision, 2n);
});

Deno.test("Followers know nothing of what a follower holds once it follows something else", () => {
  const followers = new Followers(() => 0);
  const connection = followers.connect(sidecar("a"), local);
  connection.applied(at(9n), [{ service: "s", reason: "why" }]);
  const narrow = { ...local, services: new Set(["s" as ServiceName]) };
  connection.subscribed(narrow);
  const { received, applied, refused, scope } = followers.find(LOCAL, "sidecar", "a")!;
  assert.deepEqual([received, applied, refused.length, scope], [undefined, undefined, 1, narrow]);
});

Deno.test("Followers knows a follower by its kind and id, and keeps nothing of who has gone", () => {
  const followers = new Followers(() => 0);
  const sdk = followers.connect({ ...sidecar("a"), kind: "sdk" }, local);
  const first = followers.connect(sidecar("a"), local);
  const second = followers.connect(sidecar("a"), local);
  assert.deepEqual([...followers.of(LOCAL)].map(({ follower }) => follower.kind), ["sdk", "sidecar"]);
  second[Symbol.dispose]();
  assert.equal(followers.find(LOCAL, "sidecar", "a"), first.state, "it still stands");
  sdk[Symbol.dispose]();
  assert.equal(followers.find(LOCAL, "sdk", "a"), undefined);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assert.equal(followers["connected"].size, 0);
});

import assert from "node:assert/strict";
import type { Epoch, Realm, Revision, ServiceName } from "../domain/names.ts";
import { type Follower, Followers, type FollowerState } from "./followers.ts";

const LOCAL = "local" as Realm;
const local = { realm: LOCAL };
const sidecar = (id: string): Follower => ({ id, kind: "sidecar", program: "test/1", zone: "" });
const at = (revision: bigint, epoch = 7n) => ({ epoch: epoch as Epoch, revision: revision as Revision });

/** The one of this kind and id, if it is there. */
function find(followers: Followers, kind: Follower["kind"], id: string): FollowerState | undefined {
  return [...followers.of(LOCAL, at(0n))].find(({ follower }) => follower.kind === kind && follower.id === id);
}

Deno.test("Followers lists who is connected to a realm, with what they said last", () => {
  let now = 100;
  let changes = 0;
  const followers = new Followers(() => now, { changed: () => changes++ });
  const b = followers.connect(sidecar("b"), local);
  followers.connect(sidecar("a"), local);
  followers.connect(sidecar("elsewhere"), { realm: "testing" as Realm });
  now = 200;
  b.received(at(3n));
  b.applied(at(2n), [{ service: "s", reason: "why" }]);
  assert.deepEqual([...followers.of(LOCAL, at(0n))], [
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
  assert.deepEqual([...followers.of(LOCAL, at(0n))].map(({ follower }) => follower.id), ["a"]);
  assert.equal(changes, 5, "who came, who went, and what was applied");
});

Deno.test("Followers lets the newest connection speak for a follower that came back, while the old one is silent", () => {
  const followers = new Followers(() => 0);
  const old = followers.connect(sidecar("a"), local);
  old.received(at(1n));
  followers.connect(sidecar("a"), local).received(at(2n));
  assert.equal(find(followers, "sidecar", "a")?.received?.revision, 2n);
  old[Symbol.dispose]();
  assert.equal(find(followers, "sidecar", "a")?.received?.revision, 2n);
});

Deno.test("Followers lets the one that is furthest behind speak where two are there under one name, in either order", () => {
  for (const swapped of [false, true]) {
    const followers = new Followers(() => 0);
    const two = [followers.connect(sidecar("a"), local), followers.connect(sidecar("a"), local)];
    // The older one is there after all.
    two[0]!.received(at(1n));
    const [one, other] = (swapped ? two.toReversed() : two) as [typeof two[0], typeof two[0]];
    const speaker = () => find(followers, "sidecar", "a");
    one.applied(at(9n), []);
    assert.equal(speaker(), other.state, "has applied nothing");
    other.applied(at(8n), []);
    assert.equal(speaker(), other.state, "is behind");
    other.applied(at(9n), [{ service: "s", reason: "why" }]);
    assert.equal(speaker(), other.state, "cannot use a service");
    other.applied(at(99n, 8n), []);
    assert.equal(speaker(), other.state, "is in another epoch");
    other.applied(at(10n), []);
    assert.equal(speaker(), one.state);
    one[Symbol.dispose]();
    assert.equal(speaker(), other.state);
  }
});

Deno.test("Followers asks who is there already when another comes, and tells once that there are two", () => {
  let now = 0;
  const asked: string[] = [];
  const told: string[][] = [];
  const followers = new Followers(() => now, {
    doubled: (older, newer) => told.push([older.line.peer, newer.line.peer]),
  });
  const connect = (peer: string, id = "a") =>
    followers.connect(sidecar(id), local, { peer, ask: () => asked.push(peer) });
  const first = connect("1");
  connect("other", "b").received(at(1n));
  const second = connect("2");
  assert.deepEqual(asked, ["1"]);
  first.received(at(1n));
  second.received(at(1n));
  now += 20_000;
  second.received(at(2n));
  assert.deepEqual(told, [], "a word that was on its way");
  first.received(at(2n));
  assert.deepEqual(told, [["1", "2"]]);
  first.received(at(3n));
  second[Symbol.dispose]();
  connect("3");
  now += 20_000;
  first.received(at(4n));
  assert.equal(told.length, 1);
  assert.deepEqual(asked, ["1", "1"]);
});

Deno.test("Followers know nothing of what a follower holds once it follows something else", () => {
  const followers = new Followers(() => 0);
  const connection = followers.connect(sidecar("a"), local);
  connection.applied(at(9n), [{ service: "s", reason: "why" }]);
  const narrow = { ...local, services: new Set(["s" as ServiceName]) };
  connection.subscribed(narrow);
  const { received, applied, refused, scope } = find(followers, "sidecar", "a")!;
  assert.deepEqual([received, applied, refused.length, scope], [undefined, undefined, 1, narrow]);
});

Deno.test("Followers knows a follower by its kind and id, and keeps nothing of who has gone", () => {
  const followers = new Followers(() => 0);
  const sdk = followers.connect({ ...sidecar("a"), kind: "sdk" }, local);
  const first = followers.connect(sidecar("a"), local);
  const second = followers.connect(sidecar("a"), local);
  assert.deepEqual([...followers.of(LOCAL, at(0n))].map(({ follower }) => follower.kind), ["sdk", "sidecar"]);
  second[Symbol.dispose]();
  assert.equal(find(followers, "sidecar", "a"), first.state, "it still stands");
  sdk[Symbol.dispose]();
  assert.equal(find(followers, "sdk", "a"), undefined);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  assert.equal(followers["connected"].size, 0);
});

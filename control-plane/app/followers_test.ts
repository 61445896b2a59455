import assert from "node:assert/strict";
import type { Epoch, Realm, Revision } from "../domain/names.ts";
import { type Follower, Followers } from "./followers.ts";

const local = { realm: "local" as Realm };
const sidecar = (id: string): Follower => ({ id, kind: "sidecar", program: "test/1", zone: "" });
const at = (revision: bigint) => ({ epoch: 7n as Epoch, revision: revision as Revision });

Deno.test("Followers lists who is connected to a realm, by id, with what they said last", () => {
  let now = 100;
  const followers = new Followers(() => now);
  const b = followers.connect(sidecar("b"), local);
  followers.connect(sidecar("a"), local);
  followers.connect(sidecar("elsewhere"), { realm: "testing" as Realm });
  now = 200;
  b.received(at(3n));
  b.applied(at(2n), [{ service: "s", reason: "why" }]);
  assert.deepEqual(followers.list(local.realm), [
    { follower: sidecar("a"), scope: local, refused: [], lastSeen: 100 },
    {
      follower: sidecar("b"),
      scope: local,
      received: at(3n),
      applied: at(2n),
      refused: [{ service: "s", reason: "why" }],
      lastSeen: 200,
    },
  ]);
  b[Symbol.dispose]();
  assert.deepEqual(followers.list(local.realm).map(({ follower }) => follower.id), ["a"]);
});

Deno.test("Followers lets the newest connection speak for a follower that came back", () => {
  const followers = new Followers(() => 0);
  const old = followers.connect(sidecar("a"), local);
  old.received(at(9n));
  followers.connect(sidecar("a"), local).received(at(2n));
  assert.deepEqual(followers.list(local.realm).map(({ received }) => received?.revision), [2n]);
  old[Symbol.dispose]();
  assert.equal(followers.list(local.realm).length, 1);
});

import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { create, toBinary } from "@bufbuild/protobuf";
import type { Realm } from "../../control-plane/domain/names.ts";
import { Room } from "../../control-plane/transport/room.ts";
import { type WatchCall, WatchSession } from "../../control-plane/transport/grpc_watch.ts";
import { serviceDefinition } from "../../proto/grpc.ts";
import { DiscoveryService, Follower_Kind, WatchRequestSchema } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { anyName, Chance, mutateBytes } from "./fuzz.ts";
import type { Json } from "./fuzz_expected.ts";
import { fuzz } from "./fuzzed_plane.ts";

const WATCHES = 2_000;

/** What a follower might say, as bytes. */
function anyWord(chance: Chance): Uint8Array {
  const position = { epoch: BigInt(chance.pick([0, 7, 8])), revision: BigInt(chance.below(4)) };
  const scope = {
    realm: chance.oneIn(5) ? anyName(chance) : "local",
    services: chance.oneIn(2) ? [] : [anyName(chance)],
  };
  const follower = {
    id: chance.oneIn(2) ? "a" : anyName(chance),
    kind: chance.below(5) as Follower_Kind,
    program: chance.oneIn(4) ? anyName(chance) : "fuzz/1",
  };
  const after = chance.oneIn(3) ? { after: position } : {};
  const subscribe = { scope, subscription: chance.below(4), ...after, ...(chance.oneIn(2) && { follower }) };
  const message = create(WatchRequestSchema, {
    message: chance.pick([
      { case: "subscribe", value: subscribe },
      { case: "subscribe", value: subscribe },
      { case: "received", value: { position } },
      { case: "applied", value: { position, refused: [{ service: anyName(chance), reason: anyName(chance) }] } },
      { case: "goodbye", value: {} },
    ]) as Json,
  });
  const bytes = toBinary(WatchRequestSchema, message);
  return chance.oneIn(3) ? mutateBytes(chance, bytes) : bytes;
}

Deno.test("Watch survives whatever a follower says, and knows nobody who has gone as connected", async () => {
  const { requestDeserialize } = serviceDefinition(DiscoveryService)["watch"]!;
  await fuzz(WATCHES, async ({ ports }, chance) => {
    const failures: { code: number }[] = [];
    const call = Object.assign(new EventEmitter(), { write: () => true, end: () => {}, getPeer: () => "127.0.0.1:1" });
    call.on("error", (error) => failures.push(error));
    const session = new WatchSession(call as unknown as WatchCall, ports, new Room());
    for (let times = 1 + chance.below(6); times > 0; times--) {
      call.emit("data", requestDeserialize(Buffer.from(anyWord(chance))));
      if (chance.oneIn(3)) await Promise.resolve();
    }
    const followers = () => ports.fleet.list("local" as Realm);
    for (const { follower } of followers()) assert.ok(["sidecar", "sdk", "tool"].includes(follower.kind));
    chance.oneIn(2) ? call.emit("cancelled") : session.stop();
    assert.ok(failures.length <= 1 && failures.every(({ code }) => code === 3 || code === 14));
    assert.ok(session.ended.aborted);
    // Sidecars are missed.
    for (const { follower, connected } of followers()) assert.deepEqual([follower.kind, connected], ["sidecar", false]);
  });
});

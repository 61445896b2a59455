import assert from "node:assert/strict";
import { once } from "node:events";
import { type ServiceError, status } from "@grpc/grpc-js";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { WaitForRevisionResponse_Verdict } from "../../proto/gen/portolan/v1/fleet_pb.ts";
import { testControlPlane, watching } from "./testing.ts";

Deno.test("stopping ends watches with UNAVAILABLE one after the other, 1 ms apart", async () => {
  await using plane = await testControlPlane();
  const watches = Array.from({ length: 300 }, (_, i) => watching(plane, { id: `w${i}` }));
  for (const { subscribe } of watches) subscribe(1);
  await Promise.all(watches.map(({ next }) => next()));
  const failures = watches.map(({ failure }) => failure());
  const begun = performance.now();
  await plane.stop();
  // The last one is told after the 299 before it; timers may be early by less than 1 ms.
  assert.ok(performance.now() - begun >= 298);
  for (const { code } of await Promise.all(failures)) assert.equal(code, status.UNAVAILABLE);
});

Deno.test("a watch that comes while the control plane stops is ended too", async () => {
  await using plane = await testControlPlane();
  const first = Array.from({ length: 50 }, () => watching(plane, { id: "one" }));
  for (const { subscribe } of first) subscribe(1);
  await Promise.all(first.map(({ next }) => next()));
  const failures = first.map(({ failure }) => failure());
  const stopped = plane.stop();
  await Promise.race(failures);
  const late = watching(plane, { id: "two" });
  const failure = late.failure();
  late.call.resume();
  late.subscribe(1);
  assert.equal((await failure).code, status.UNAVAILABLE);
  await Promise.all([stopped, ...failures]);
});

Deno.test("stopping ends renewals with UNAVAILABLE, and answers who waits with how things are", async () => {
  await using plane = await testControlPlane();
  const renewal = plane.registry.renew();
  renewal.write({ leaseId: "nothing" });
  assert.equal((await once(renewal, "data"))[0].alive, false);
  const failed = once(renewal, "error") as Promise<[ServiceError]>;
  const waiting = plane.fleet.waitForRevision({ realm: "local", revision: 1_000n, timeout: durationFromMs(600_000) });
  const overHttp = plane.http("GET", "/wait?revision=1000&timeout=600s");
  // Both are under way once what was sent after them is answered.
  await Promise.all([plane.fleet.listFollowers({ realm: "local" }), plane.http("GET", "/map")]);
  const begun = performance.now();
  await plane.stop();
  assert.equal((await failed)[0].code, status.UNAVAILABLE);
  assert.equal((await waiting).verdict, WaitForRevisionResponse_Verdict.WAITING);
  assert.equal((await overHttp).json.verdict, "WAITING");
  assert.ok(performance.now() - begun < 2_000, "nothing was ended by force");
});

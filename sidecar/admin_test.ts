import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { type Position, PositionSchema } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { createAdmin } from "./admin.ts";
import type { Reload } from "./reconcile.ts";

Deno.test("a sidecar is ready once it routes by a map, and while HAProxy runs", async () => {
  const state = { applied: undefined as Position | undefined, workerPid: 0, connected: false };
  const admin = createAdmin({
    realm: "local",
    egress: "127.0.0.1:7410",
    reconciler: {
      get applied() {
        return state.applied;
      },
      reloads: [{ at: new Date(0), reasons: ['new service "teams"'] }] as readonly Reload[],
      refused: [{ service: "bad", reason: "why" }],
    },
    haproxy: {
      get workerPid() {
        return state.workerPid;
      },
    },
    following: state,
  });
  const ready = async () => {
    const answer = await admin.request("/readyz");
    return [answer.status, (await answer.json()).reasons];
  };
  assert.deepEqual(await ready(), [503, ["the control plane has not answered yet"]]);
  state.connected = true;
  assert.deepEqual(await ready(), [503, ["the first map is not applied yet"]]);
  state.applied = create(PositionSchema, { epoch: 1n, revision: 2n ** 60n });
  assert.deepEqual(await ready(), [503, ["HAProxy does not run"]]);
  state.workerPid = 7;
  state.connected = false;
  assert.deepEqual(await ready(), [200, []], "calls go on without the control plane");
  assert.equal((await admin.request("/healthz")).status, 200);
  assert.deepEqual(await (await admin.request("/state")).json(), {
    realm: "local",
    egress: "127.0.0.1:7410",
    connected: false,
    applied: { epoch: "1", revision: String(2n ** 60n) },
    refused: [{ service: "bad", reason: "why" }],
    reloads: [{ at: "1970-01-01T00:00:00.000Z", reasons: ['new service "teams"'] }],
    haproxy: { workerPid: 7 },
  });
});

import assert from "node:assert/strict";
import { Instance_Status } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { instance, service } from "../testing/maps.ts";
import { callableOf } from "./callable.ts";

Deno.test("callableOf() leaves out whom nobody wants to be called, not who seems to be ill", () => {
  const instances = [
    instance("good"),
    instance("ill", { status: Instance_Status.FAILING }),
    instance("off", { enabled: false }),
    instance("drains", { draining: true }),
    instance("light", { weight: 0 }),
  ];
  const identity = service("identity", { instances });
  assert.deepEqual([...callableOf(identity)], ["good", "ill"]);
  assert.equal(callableOf(identity), callableOf(identity), "asked at each failure");
  assert.equal(callableOf(service("identity", { instances, enabled: false })).size, 0);
  assert.equal(callableOf(undefined).size, 0);
});

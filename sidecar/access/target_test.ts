import assert from "node:assert/strict";
import { assign } from "../routing/assign.ts";
import { EMPTY_PLAN } from "../routing/plan.ts";
import { instance, service, wantedOf } from "../testing/maps.ts";
import type { Ended } from "./ended.ts";
import { type Routed, targetOf, versionOf } from "./target.ts";

const identity = service("identity", { instances: [instance("i1"), instance("i2", { version: 2 })] });
const routed: Routed = {
  plan: assign(wantedOf(identity), EMPTY_PLAN),
  services: new Map([["identity", identity]]),
};

function ended(said: Partial<Ended>, route?: string): Ended {
  return {
    ...{ frontend: "egress", backend: "no_service", server: undefined, termination: "--", retries: 0, endMs: 0 },
    ...{ queueMs: 0, connectMs: 0, totalMs: 0, bytesIn: 0, bytesOut: 0 },
    request: {
      ...{ status: 200, responseMs: 0, method: "GET", path: "/", route, flow: undefined, call: undefined },
      ...{ attempt: undefined, later: false },
    },
    ...said,
  };
}

const slotOf = (pool: number | "all") =>
  [...routed.plan.backends.values()].find((backend) => backend.pool === pool)?.slot ?? assert.fail();

Deno.test("targetOf() tells service and version by the backend, and where that holds all by the instance", () => {
  const of = (pool: number | "all", server?: string) => targetOf(ended({ backend: slotOf(pool), server }), routed);
  assert.deepEqual(of(2, "i2"), { service: "identity", version: 2 });
  assert.deepEqual(of(2), { service: "identity", version: 2 });
  assert.deepEqual(of("all", "i1"), { service: "identity", version: 1 });
  assert.deepEqual(of("all", "gone"), { service: "identity", version: undefined });
  assert.deepEqual(of("all"), { service: "identity", version: undefined });
});

Deno.test("targetOf() tells whom a request was for that no instance got, if there is such a service", () => {
  const of = (route: string | undefined) => targetOf(ended({}, route), routed);
  assert.deepEqual(of("identity"), { service: "identity", version: undefined });
  assert.deepEqual(of("canary.identity"), { service: "identity", version: undefined });
  assert.deepEqual(of("v7.identity"), { service: "identity", version: 7 });
  for (const route of [undefined, "", "nobody", "identity.nobody", "a.b.identity", "UPPER", "__proto__"]) {
    assert.equal(of(route), undefined);
  }
  // A backend that is gone.
  assert.deepEqual(targetOf(ended({ backend: "b999", server: "i1" }, "identity"), routed)?.service, "identity");
});

Deno.test("targetOf() tells a connection's service by the port that it came to", () => {
  const of = (frontend: string) => {
    const { request: _, ...connection } = ended({ frontend, backend: frontend });
    return targetOf(connection, routed);
  };
  assert.deepEqual(of("local.identity"), { service: "identity", version: undefined });
  assert.equal(of("local.nobody"), undefined);
  assert.equal(of("egress"), undefined);
});

Deno.test("versionOf() is of the service as it is now", () => {
  assert.deepEqual(["i1", "i2", "i3"].map((id) => versionOf(identity, id)), [1, 2, undefined]);
  const moved = service("identity", { instances: [instance("i1", { version: 3 })] });
  assert.deepEqual(["i1", "i2", undefined].map((id) => versionOf(moved, id)), [3, undefined, undefined]);
  assert.equal(versionOf(undefined, "i1"), undefined);
});

import assert from "node:assert/strict";
import fc from "fast-check";
import type { Service } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { assign } from "../routing/assign.ts";
import { diff } from "../routing/diff.ts";
import { EMPTY_PLAN, type HaproxyPlan } from "../routing/plan.ts";
import { someWanted } from "../testing/arbitrary.ts";
import { instance, service, wantedOf } from "../testing/maps.ts";
import { reloadKind } from "./reload_kind.ts";

const both = [instance("i1"), instance("i2", { version: 2 })];
const identity = service("identity", { instances: both });

function kindsBetween(before: HaproxyPlan, after: HaproxyPlan): readonly string[] {
  const transition = diff(before, after);
  return transition.kind === "reload" ? [...new Set(transition.reasons.map(reloadKind))].sort() : [];
}

Deno.test("reloadKind() has a word for every reason that a change of the map gives", () => {
  const before = assign(wantedOf(identity), EMPTY_PLAN);
  const after = (...services: readonly Service[]) => assign(wantedOf(...services), before);
  const kinds = {
    new_service: after(identity, service("teams", { instances: both })),
    new_version: after(service("identity", { instances: [...both, instance("i3", { version: 3 })] })),
    sticky_header: after(
      service("identity", {
        instances: both,
        aliases: { live: { split: { 1: 1, 2: 9_999 }, stickyHeader: "x-user" } },
      }),
    ),
    other_form: after(service("identity", { instances: both, spec: { policy: { timeoutMs: 2_500 } } })),
    port: after(service("identity", { instances: both, spec: { localPort: 5_001 } })),
    spares: assign(wantedOf(identity), before, { reloading: "refill", spares: 2 }),
  };
  for (const [kind, plan] of Object.entries(kinds)) assert.deepEqual(kindsBetween(before, plan), [kind]);
  assert.deepEqual(kindsBetween(kinds.port, assign(wantedOf(identity), kinds.port)), ["port"]);
  const live = assign(wantedOf(service("identity", { instances: both, aliases: { live: 1 } })), EMPTY_PLAN);
  assert.deepEqual(kindsBetween(live, assign(wantedOf(identity), live)), ["no_live_alias"]);
});

Deno.test("reloadKind() leaves no reason of a change of the map without a word of its own", () => {
  fc.assert(fc.property(someWanted, someWanted, (one, other) => {
    const before = assign(one, EMPTY_PLAN);
    assert.ok(!kindsBetween(before, assign(other, before)).includes("unknown_state"));
  }));
});

Deno.test("reloadKind() takes any other sentence for one about a worker that nobody knows", () => {
  assert.equal(reloadKind('the worker answered "x" to "y"'), "unknown_state");
});

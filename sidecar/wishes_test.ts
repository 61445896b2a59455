import assert from "node:assert/strict";
import type { Service } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { instance, service } from "./testing/maps.ts";
import { Wishes } from "./wishes.ts";

/** Wishes of services whose hosts are looked up while they are `pending`. */
function open() {
  const pending = new Set<string>();
  const wishes = new Wishes({
    resolver: {
      need() {},
      addressOf: (host) => host.endsWith(".internal") ? undefined : host,
      isPending: (name) => pending.has(name),
    },
    isEjected: () => false,
    portProblem: (_, port) => port === 1 ? "it is taken" : undefined,
  });
  const set = (one: Service, isPending = false) => {
    isPending ? pending.add(one.name) : pending.delete(one.name);
    wishes.set(one.name, one);
    return { pending: [...wishes.pending], refused: wishes.refused.map(({ reason }) => reason) };
  };
  return { wishes, set };
}

const there = { instances: [instance("i1")] };
const unknown = { instances: [instance("i1", { host: "one.internal" })] };

Deno.test("a new service is not refused for addresses that are being looked up, but once they are not found", () => {
  const { wishes, set } = open();
  assert.deepEqual(set(service("a", unknown), true), { pending: ["a"], refused: [] });
  assert.ok(wishes.wanted.has("a"));
  const reason = 'Cannot route to instance "i1": its host "one.internal" has no address';
  assert.deepEqual(set(service("a", unknown)), { pending: [], refused: [reason] });
});

Deno.test("while addresses are looked up a service is as it was, with what was refused of that", () => {
  const { wishes, set } = open();
  set(service("a", { ...there, spec: { localPort: 1 } }));
  const before = wishes.wanted.get("a");
  assert.deepEqual(set(service("a", unknown), true), { pending: ["a"], refused: ["it is taken"] });
  assert.deepEqual([wishes.wanted.get("a"), [...wishes.portless]], [before, ["a"]]);
  assert.deepEqual(set(service("a", there)), { pending: [], refused: [] });
  assert.deepEqual([...wishes.portless], []);
});

Deno.test("a service that is gone waits for nothing", () => {
  const { wishes, set } = open();
  set(service("a", unknown), true);
  set(service("b", there), false);
  wishes.set("b", undefined);
  assert.deepEqual([[...wishes.wanted.keys()], [...wishes.pending]], [["a"], ["a"]]);
});

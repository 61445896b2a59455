import assert from "node:assert/strict";
import type { Service, ServiceSpec_Protocol as Protocol } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { instance, service } from "./testing/maps.ts";
import { Wishes } from "./wishes.ts";

/** Wishes of services whose hosts are looked up while they are `pending`. */
function open() {
  const pending = new Set<string>();
  const taken = new Set([1]);
  const wishes = new Wishes({
    resolver: {
      need() {},
      addressOf: (host) => host.endsWith(".internal") ? undefined : host,
      isPending: (name) => pending.has(name),
    },
    isEjected: () => false,
    portProblem: (_, port) => taken.has(port) ? "it is taken" : undefined,
  });
  const set = (one: Service, isPending = false) => {
    isPending ? pending.add(one.name) : pending.delete(one.name);
    wishes.set(one.name, one);
    return { pending: [...wishes.pending], refused: wishes.refused.map(({ reason }) => reason) };
  };
  return { wishes, set, taken };
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

Deno.test("a service in its last good form asks for its port again, whatever keeps the newest form out", () => {
  const { wishes, set, taken } = open();
  const good = { ...there, spec: { localPort: 2 } };
  const strange = service("a", { ...there, spec: { localPort: 2, protocol: 77 as Protocol } });
  const portOf = () => wishes.wanted.get("a")?.localPort;
  set(service("a", good));
  const reason = "Cannot use protocol 77: this sidecar does not know it";
  assert.deepEqual([set(strange).refused, portOf()], [[reason], 2]);
  taken.add(2);
  assert.deepEqual([set(strange).refused, portOf(), [...wishes.portless]], [[`${reason}; it is taken`], undefined, [
    "a",
  ]]);
  assert.deepEqual([set(service("a", unknown), true).refused, portOf()], [[`${reason}; it is taken`], undefined]);
  taken.delete(2);
  assert.deepEqual([set(strange).refused, portOf(), [...wishes.portless]], [[reason], 2, []]);
});

Deno.test("a service that goes back to what HAProxy ran last does not ask for the port of another form", () => {
  const { wishes, set } = open();
  set(service("a", there));
  wishes.prove();
  set(service("a", { ...there, spec: { localPort: 1 } }));
  wishes.revert(["a"], "it is not liked");
  assert.deepEqual([wishes.refused.map(({ reason }) => reason), [...wishes.portless]], [["it is not liked"], []]);
});

Deno.test("a service that is gone waits for nothing", () => {
  const { wishes, set } = open();
  set(service("a", unknown), true);
  set(service("b", there), false);
  wishes.set("b", undefined);
  assert.deepEqual([[...wishes.wanted.keys()], [...wishes.pending]], [["a"], ["a"]]);
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { assign, needReload, settled } from "./assign.ts";
import { diff } from "./diff.ts";
import { EMPTY_PLAN, type HaproxyPlan, poolName } from "./plan.ts";
import { someWanted } from "../testing/arbitrary.ts";
import { instance, service, wantedOf } from "../testing/maps.ts";

Deno.test("assign() never renames a slot, nor gives it to another pool", () => {
  fc.assert(fc.property(fc.array(someWanted, { maxLength: 8 }), (maps) => {
    const holder = new Map<string, string>();
    let running = EMPTY_PLAN;
    for (const wanted of maps) {
      const plan = assign(wanted, running);
      for (const { slot, service, pool } of plan.backends.values()) {
        const name = poolName(service, pool);
        const known = running.backends.has(slot) || !holder.has(slot);
        assert.ok(known, `${slot} is given out twice`);
        assert.equal(holder.get(slot) ?? name, name);
        holder.set(slot, name);
      }
      running = diff(running, plan).kind === "reload" ? settled(plan) : plan;
    }
  }));
});

Deno.test("assign() needs no reload while it is held, and changes nothing that waits for one", () => {
  fc.assert(fc.property(someWanted, someWanted, (first, second) => {
    const running = assign(first, EMPTY_PLAN);
    const held = assign(second, running, "hold");
    assert.notEqual(diff(running, held).kind, "reload");
    if (needReload(second, running).length === 0) assert.deepEqual(held, assign(second, running));
    for (const value of held.routes.values()) {
      assert.ok(!/^b[0-9]/.test(value) || held.backends.has(value), `a row leads to ${value}, which is not there`);
    }
  }));
});

Deno.test("assign() drops a backend without use at a reload, once no row of the running map leads to it", () => {
  const one = wantedOf(service("identity", { instances: [instance("i1")] }));
  const two = wantedOf(service("identity", { instances: [instance("i1")], aliases: { live: 1 } }));
  const other = (name: string) => wantedOf(service(name, { instances: [instance("i1")] }));
  const names = (plan: HaproxyPlan) => [...plan.backends.values()].map(({ service, pool }) => poolName(service, pool));

  const first = assign(one, EMPTY_PLAN);
  assert.deepEqual(names(first), ["identity", "v1.identity"]);
  const second = assign(two, first);
  assert.deepEqual(names(second), ["identity", "v1.identity"], "nothing is worth a reload here");
  const third = assign(new Map([...two, ...other("teams")]), second);
  assert.deepEqual(names(third), ["v1.identity", "teams", "v1.teams"]);
  const fourth = assign(new Map([...two, ...other("orders")]), third);
  assert.deepEqual(names(fourth), ["v1.identity", "teams", "v1.teams", "orders", "v1.orders"]);
  assert.equal(fourth.nextSlot, 7);
});

Deno.test("assign() keeps a server that is gone as leaving, and takes it back where it comes again", () => {
  const plan = (...ids: string[]) => wantedOf(service("identity", { instances: ids.map((id) => instance(id)) }));
  const states = (of: HaproxyPlan) =>
    [...(of.backends.get("b001")?.servers.values() ?? [])].map(({ name, state }) => `${name} ${state}`);
  const first = assign(plan("i1", "i2"), EMPTY_PLAN);
  const second = assign(plan("i1"), first);
  assert.deepEqual(states(second), ["i1 ready", "i2 leaving"]);
  assert.deepEqual(states(assign(plan("i2"), second)), ["i2 ready", "i1 leaving"]);
  assert.deepEqual(states(settled(second)), ["i1 ready"]);
});

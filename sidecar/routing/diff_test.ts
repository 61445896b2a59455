import assert from "node:assert/strict";
import fc from "fast-check";
import { assign, type Assigning, settled } from "./assign.ts";
import { diff, type Transition } from "./diff.ts";
import { EMPTY_PLAN, type HaproxyPlan, usable } from "./plan.ts";
import { simulate } from "./simulate.ts";
import { someWanted } from "../testing/arbitrary.ts";
import { instance, service, type ServiceInit, wantedOf } from "../testing/maps.ts";

/** Plans that follow one another, as a sidecar makes them; what is leaving is gone now and then. */
const chain = fc.array(fc.record({ wanted: someWanted, settle: fc.boolean() }), { minLength: 2, maxLength: 6 });

function walk(steps: readonly { wanted: Parameters<typeof assign>[0]; settle: boolean }[]) {
  let running = EMPTY_PLAN;
  return steps.map(({ wanted, settle }) => {
    const before = settle ? settled(running) : running;
    const transition = diff(before, assign(wanted, before));
    running = transition.kind === "reload" ? settled(assign(wanted, before)) : assign(wanted, before);
    return { before, after: running, transition };
  });
}

Deno.test("diff() gives commands that make the running plan the next one", () => {
  fc.assert(
    fc.property(chain, (steps) => {
      for (const { before, after, transition } of walk(steps)) {
        if (transition.kind === "reload") continue;
        assert.deepEqual(asHaproxy(simulate(before, commandsOf(transition))), asHaproxy(after));
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("diff() has nothing to say about what runs already", () => {
  fc.assert(fc.property(chain, (steps) => {
    for (const { after } of walk(steps)) assert.equal(diff(after, after).kind, "none");
    const { wanted } = steps.at(-1) ?? assert.fail();
    const last = walk(steps).at(-1)?.after ?? assert.fail();
    assert.equal(diff(last, assign(wanted, last)).kind, "none", "assigning again changes something");
  }));
});

Deno.test("diff() never empties a backend that has usable servers before and after, nor leads a route into an empty one", () => {
  fc.assert(
    fc.property(chain, (steps) => {
      for (const { before, after, transition } of walk(steps)) {
        const commands = commandsOf(transition);
        for (let count = 1; count <= commands.length; count++) {
          const between = simulate(before, commands.slice(0, count));
          for (const [slot, { servers }] of between.backends) {
            const kept = usable(before.backends.get(slot)?.servers ?? servers) &&
              usable(after.backends.get(slot)?.servers ?? servers);
            assert.ok(!kept || usable(servers), `${slot} is empty after ${count} of ${commands.length} commands`);
          }
          for (const [key, value] of between.routes) {
            const led = between.backends.get(value);
            assert.ok(!led || usable(led.servers), `${key} leads into empty ${value}`);
          }
        }
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("diff() reloads only for a service, a version or a sticky header that is new, and says which", () => {
  const i1 = instance("i1");
  const i2 = instance("i2", { version: 2 });
  const running = planOf({ identity: { instances: [i1, i2] } });
  const reasons = (services: Record<string, ServiceInit>) => {
    const transition = diff(running, assign(wanted(services), running));
    return transition.kind === "reload" ? transition.reasons.map(({ text }) => text) : transition.kind;
  };
  const identity = { instances: [i1, i2] };
  const split = { 1: 1, 2: 9_999 };
  assert.deepEqual(reasons({ identity, teams: { instances: [i1] } }), ['new service "teams"']);
  assert.deepEqual(reasons({ identity: { instances: [i1, i2, instance("i3", { version: 3 })] } }), [
    'new version 3 of "identity"',
  ]);
  assert.deepEqual(reasons({ identity: { ...identity, aliases: { x: { split, stickyHeader: "x-user" } } } }), [
    'new sticky header "x-user"',
  ]);
  for (
    const change of [
      { identity: { instances: [i1, i2, instance("i3")] } },
      { identity: { instances: [i2] } },
      { identity: { instances: [] } },
      { identity: { ...identity, enabled: false } },
      { identity: { ...identity, aliases: { live: 1, next: 9 } } },
      { identity: { ...identity, aliases: { live: { split } } } },
      { identity, bare: {} },
      {},
    ]
  ) assert.equal(reasons(change), "runtime", JSON.stringify(Object.keys(change)));
});

Deno.test("diff() says of each reload what kind of reason it has", () => {
  const instances = [instance("i1"), instance("i2", { version: 2 })];
  const identity = { identity: { instances } };
  const before = planOf(identity);
  const live = planOf({ identity: { instances, aliases: { live: 1 } } });
  const ported = planOf({ identity: { instances, spec: { localPort: 5_001 } } });
  const sticky = { live: { split: { 1: 1, 2: 9_999 }, stickyHeader: "x-user" } };
  const kinds = (running: HaproxyPlan, services: Record<string, ServiceInit>, how: Assigning = {}) => {
    const transition = diff(running, assign(wanted(services), running, how));
    return transition.kind === "reload" ? transition.reasons.map(({ kind }) => kind) : assert.fail(transition.kind);
  };
  assert.deepEqual(kinds(before, { ...identity, teams: { instances } }), ["new_service"]);
  const third = instance("i3", { version: 3 });
  assert.deepEqual(kinds(before, { identity: { instances: [...instances, third] } }), ["new_version"]);
  assert.deepEqual(kinds(live, identity), ["no_live_alias"]);
  const slow = { instances, spec: { policy: { timeoutMs: 2_500 } } };
  assert.deepEqual(kinds(before, { identity: slow }), ["other_form"]);
  assert.deepEqual(kinds(before, { identity: { instances, aliases: sticky } }), ["sticky_header"]);
  assert.deepEqual(kinds(before, { identity: { instances, spec: { localPort: 5_001 } } }), ["port"]);
  assert.deepEqual(kinds(ported, identity), ["port"]);
  assert.deepEqual(kinds(before, identity, { reloading: "refill", spares: 2 }), ["spares"]);
});

Deno.test("diff() changes one row in place, adds rows that stand alone, and does all else at one instant", () => {
  const running = planOf({
    identity: { instances: [instance("i1"), instance("i2", { version: 2 })], aliases: { live: 1 } },
  });
  const kinds = (aliases: ServiceInit["aliases"]) => {
    const services = {
      identity: { instances: [instance("i1"), instance("i2", { version: 2 })], aliases: aliases ?? {} },
    };
    return commandsOf(diff(running, assign(wanted(services), running))).map(({ kind }) => kind);
  };
  assert.deepEqual(kinds({ live: 2 }), ["set-route"]);
  assert.deepEqual(kinds({ live: { split: { 1: 5000, 2: 5000 } } }), ["replace-routes"]);
  assert.deepEqual(kinds({ live: 1, canary: 2 }), ["add-routes"]);
  assert.deepEqual(kinds({ live: 2, canary: 2, next: 1 }), ["add-routes", "set-route"]);
  assert.deepEqual(kinds({ live: 1, canary: { split: { 1: 5000, 2: 5000 } } }), ["replace-routes"]);
  assert.deepEqual(commandsOf(diff(planOf({ identity: { instances: [] } }), EMPTY_PLAN)).map(({ kind }) => kind), [
    "replace-routes",
  ]);
});

function wanted(services: Readonly<Record<string, ServiceInit>>) {
  return wantedOf(...Object.entries(services).map(([name, init]) => service(name, init)));
}

function planOf(services: Readonly<Record<string, ServiceInit>>): HaproxyPlan {
  return assign(wanted(services), EMPTY_PLAN);
}

function commandsOf(transition: Transition) {
  return transition.kind === "runtime" ? transition.commands : [];
}

/** What HAProxy can tell apart: not why a server is in maintenance, nor in which order it heard of anything. */
function asHaproxy({ backends, routes }: HaproxyPlan) {
  return {
    routes: new Map([...routes].sort()),
    backends: new Map([...backends].map(([slot, { servers }]) => {
      const seen = [...servers.values()].map((server) => ({ ...server, state: server.state === "ready" }));
      return [slot, seen.sort((a, b) => a.name < b.name ? -1 : 1)];
    })),
  };
}

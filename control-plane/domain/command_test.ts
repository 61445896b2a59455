import assert from "node:assert/strict";
import fc from "fast-check";
import type { Change } from "./change.ts";
import { type ClusterMap, findAlias, findInstance, findService, type Instance, type Service } from "./cluster_map.ts";
import { type Command, decide } from "./command.ts";
import { sameRoute } from "./route.ts";
import { sameSpec } from "./service_spec.ts";
import { anyCommand, anyMap, contents, historyOf, holds, next } from "./testing.ts";

Deno.test("decide() accepts only what leaves the map as asked for, and nothing else changed", () => {
  fc.assert(
    fc.property(anyMap, anyCommand, (map, command) => {
      const decision = decide(map, command);
      if (decision.kind !== "accept") return;
      const after = historyOf([command], map).at(-1)!.map;
      const gone = command.kind === "delete_service";
      assert.equal(
        findService(after, command.realm, command.service)?.modified,
        gone ? undefined : after.position.revision,
      );
      const service = findService(map, command.realm, command.service);
      assertAsAsked(command, service, findService(after, command.realm, command.service));
      if (!decision.more) assertNothingElse(map, after, command, decision.changes);
      // Asked for again, it is so already; what was removed is not there to remove.
      const again = decide(after, unconditional(command)).kind;
      const removes = ["deregister", "delete_service", "delete_alias"].includes(command.kind);
      assert.equal(again, removes ? "refuse" : "unchanged");
    }),
    { numRuns: 1_000 },
  );
});

/** What each kind of command promises, in words of its own. */
function assertAsAsked(command: Command, before: Service | undefined, service: Service | undefined): void {
  const instances = service?.instances ?? [];
  const every = (of: (one: Instance) => boolean, is: (one: Instance) => boolean) =>
    assert.ok(instances.filter(of).every(is), command.kind);
  switch (command.kind) {
    case "register": {
      const known = findInstance(before, command.instance.id);
      const { modified: _, enabled, status, ...rest } = findInstance(service, command.instance.id)!;
      assert.deepEqual(rest, { ...command.instance, draining: false, held: false });
      assert.equal(enabled, known?.enabled ?? true);
      assert.equal(status, known && known.lease === rest.lease ? known.status : "unknown");
      return;
    }
    case "deregister":
      return assert.equal(findInstance(service, command.id), undefined);
    case "set_enabled": {
      const { id, hostId, enabled } = command;
      if (id === undefined && hostId === undefined) {
        assert.equal(service?.enabled, enabled);
        return every(() => enabled, ({ draining }) => !draining);
      }
      const mine = (one: Instance) => one.id === id || hostId !== undefined && one.hostId === hostId;
      return every(mine, (one) => one.enabled === enabled && !(enabled && one.draining));
    }
    case "drain": {
      const { id, hostId } = command;
      return every((one) => (id ?? one.id) === one.id && (hostId ?? one.hostId) === one.hostId, (one) => one.draining);
    }
    case "put_service":
      assert.equal(service?.enabled, before?.enabled ?? true);
      return assert.ok(sameSpec(service.spec, command.spec));
    case "delete_service":
      assert.ok(command.force || before?.instances.length === 0);
      return assert.equal(service, undefined);
    case "put_alias":
      return assert.ok(sameRoute(findAlias(service, command.alias)!.route, command.route));
    case "delete_alias":
      return assert.equal(findAlias(service, command.alias), undefined);
    case "report": {
      const { lease, statuses } = command;
      return every((one) => one.lease === lease && statuses.has(one.id), (one) => one.status === statuses.get(one.id));
    }
    case "expire":
      return every((one) => one.lease !== undefined && command.leases.has(one.lease), () => false);
    case "hold":
      return every(
        (one) => one.lease !== undefined && command.leases.has(one.lease),
        (one) => one.held === command.held && (!one.held || one.status === "unknown"),
      );
    case "release":
      return every((one) => one.held, () => false);
  }
}

/** Other services, and what no change names, are the very objects that they were. */
function assertNothingElse(
  before: ClusterMap,
  after: ClusterMap,
  { realm, service: name }: Command,
  changes: readonly Change[],
) {
  for (const [other, { services }] of before.realms) {
    for (const [service, value] of services) {
      if (other === realm && service === name) continue;
      assert.equal(findService(after, other, service), value);
    }
  }
  const named = new Set(
    changes.map((change) =>
      change.kind === "put_instance" ? change.instance.id : change.kind === "delete_instance" ? change.id : undefined
    ),
  );
  const is = findService(after, realm, name);
  for (const instance of findService(before, realm, name)?.instances ?? []) {
    if (is && !named.has(instance.id)) assert.equal(findInstance(is, instance.id), instance);
  }
}

function unconditional(command: Command): Command {
  const { expected: _, ...rest } = command as Command & { expected?: unknown };
  return rest as Command;
}

Deno.test("decide() relies on everything that it read", () => {
  fc.assert(fc.property(anyMap, anyCommand, (map, command) => {
    const decision = decide(map, command);
    if (decision.kind !== "accept") return;
    assert.ok(decision.relies.every((reliance) => holds(map, reliance)), "it relies on what is so");
    const own = decision.relies.filter((one) => !one.instance && !one.alias && !one.touch);
    assert.equal(own.length, 1, "the service's own fields are always read");
    for (const change of decision.changes) {
      if (change.kind === "put_instance") assert.ok(decision.relies.some((one) => one.instance === change.instance.id));
      if (change.kind === "delete_instance") assert.ok(decision.relies.some((one) => one.instance === change.id));
      if (change.kind === "put_alias") assert.ok(decision.relies.some((one) => one.alias === change.alias.name));
      if (change.kind === "delete_alias") assert.ok(decision.relies.some((one) => one.alias === change.name));
    }
  }));
});

Deno.test("decide(): of two decisions on one map that both hold, the outcome is that of one after the other", () => {
  let both = 0;
  fc.assert(
    fc.property(anyMap, anyCommand, anyCommand, fc.boolean(), (map, first, second, sameService) => {
      // Those that meet are the interesting ones.
      const other = sameService ? { ...second, realm: first.realm, service: first.service } : second;
      const [one, two] = [decide(map, first), decide(map, other)];
      if (one.kind !== "accept" || two.kind !== "accept") return;
      const between = next(map, one.changes);
      if (!two.relies.every((reliance) => holds(between, reliance))) return;
      both++;
      const outcome = timeless(next(between, two.changes));
      const orders = [[first, other], [other, first]].map((order) => {
        const done = order.reduce<ClusterMap | undefined>((map, command) => {
          const decision = map && decide(map, command);
          if (!decision || decision.kind === "refuse") return undefined;
          return decision.kind === "accept" ? next(map, decision.changes) : map;
        }, map);
        return done && timeless(done);
      });
      assert.ok(orders.some((order) => equal(order, outcome)), `${first.kind} and ${other.kind}`);
    }),
    { numRuns: 3_000 },
  );
  assert.ok(both > 100, `only ${both} pairs met`);
});

/** A map but for its revisions. */
function timeless(map: ClusterMap): unknown {
  return JSON.parse(JSON.stringify(contents(map).realms, (key, value) => {
    if (key === "modified" || key === "specModified") return undefined;
    return typeof value === "bigint" ? "some revision" : value;
  }));
}

function equal(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

import assert from "node:assert/strict";
import { MAX_INSTANCES, MAX_SERVICE_BYTES } from "../domain/cluster_map.ts";
import { serviceBytes } from "../domain/size.ts";
import { type ImportedService, importRealm } from "./import.ts";
import { caller, done, LOCAL, overlaid, register, testPlane } from "./testing.ts";

/** A service of permanent instances. */
function service(name: string, ids: readonly string[], more: object = {}): ImportedService {
  const is = { enabled: true, draining: false, status: "unknown", held: false, ...more };
  const instances = ids.map((id) => ({ ...register(name, id).instance, ...is }));
  return { name, enabled: true, spec: { protocol: "TCP", balancer: "P2C" }, instances, aliases: [] } as never;
}

const ids = (count: number, prefix = "i") => Array.from({ length: count }, (_, n) => `${prefix}${n}`);

Deno.test("a service whose old and new instances do not fit together is within its bounds on the way, and never empty", async () => {
  const [small, large] = [{}, { metadata: { k: "v".repeat(3_900) } }];
  const route = (shares: number) => ({
    kind: "split" as const,
    shares: Array.from({ length: shares }, (_, i) => ({ version: i + 1, share: i === 0 ? 10_000 : 0 })),
  });
  const aliases = (names: readonly string[], shares = 100) => names.map((name) => ({ name, route: route(shares) }));
  const both = (a: ImportedService, b: ImportedService) => ({ ...a, instances: [...a.instances, ...b.instances] });
  const cases: [from: ImportedService, to: ImportedService][] = [
    [service("a", ids(2_600, "old")), service("a", ids(2_600, "new"))],
    [service("a", ids(250, "old"), large), service("a", ids(250, "new"), large)],
    [service("a", ids(2_600, "old")), service("a", ids(250, "new"), large)],
    // Some become larger, and others smaller.
    [
      both(service("a", ids(150, "a"), small), service("a", ids(150, "b"), large)),
      both(service("a", ids(150, "a"), large), service("a", ids(150, "b"), small)),
    ],
    // All room but that of one instance is for aliases.
    [
      { ...service("a", ["old"], large), aliases: aliases(ids(400, "a")) as never },
      { ...service("a", ["new"], large), aliases: aliases([...ids(300, "a"), ...ids(300, "b")]) as never },
    ],
  ];
  // The last of the old ones is what makes room, where a commit would be full: the new one comes with the same.
  const to = { ...service("a", ["new"]), aliases: aliases(ids(600, "a")) } as unknown as ImportedService;
  const rest = { metadata: { k: "v".repeat(MAX_SERVICE_BYTES - serviceBytes(to) - 13) } };
  const before = [...aliases(ids(38, "b"), 2), ...to.aliases];
  cases.push([{ ...service("a", ["old"]), aliases: before as never }, {
    ...service("a", ["new"], rest),
    aliases: to.aliases,
  }]);
  for (const [from, to] of cases) {
    await using plane = await testPlane();
    done(await importRealm(plane, caller, LOCAL, [from], true));
    const most = { instances: 0, bytes: 0, least: Infinity };
    const store = overlaid(plane.store, {
      commit: async (...how) => {
        const outcome = await plane.store.commit(...how);
        if (outcome.kind === "committed") await plane.hub.reached(outcome.revision);
        const is = plane.service("a");
        most.instances = Math.max(most.instances, is?.instances.length ?? 0);
        most.bytes = Math.max(most.bytes, is?.bytes ?? 0);
        most.least = Math.min(most.least, is?.instances.length ?? 0);
        return outcome;
      },
    });
    done(await importRealm({ ...plane, store }, caller, LOCAL, [to], true));
    assert.ok(most.instances <= MAX_INSTANCES && most.bytes <= MAX_SERVICE_BYTES, JSON.stringify(most));
    assert.ok(most.least > 0, "it is never empty");
    assert.deepEqual(new Set(plane.ids("a")), new Set(to.instances.map(({ id }) => id)));
    assert.deepEqual(plane.service("a")?.aliases.length, to.aliases.length);
  }
});

import assert from "node:assert/strict";
import { waitingFor } from "./reloads.ts";
import { assign, settled } from "./routing/assign.ts";
import { EMPTY_PLAN } from "./routing/plan.ts";
import { instance, service, wantedOf } from "./testing/maps.ts";

const instances = [instance("i1")];
const nobody: ReadonlySet<string> = new Set();

Deno.test("waitingFor() names whoever a reload would change", () => {
  const at = (localPort: number) => ({ instances, spec: { localPort } });
  const before = wantedOf(
    ...[service("same", at(1)), service("moves", at(2)), service("loses", at(3)), service("gone", at(4))],
    ...[service("frozen", at(5)), service("given", at(6)), service("takes", { instances })],
  );
  const running = settled(assign(before, EMPTY_PLAN, { reloading: "refill" }));
  const wanted = wantedOf(
    ...[
      service("same", at(1)),
      service("moves", at(7)),
      service("loses", { instances }),
      service("new", { instances }),
    ],
    ...[service("given", { instances }), service("takes", at(6))],
  );
  const waiting = waitingFor(running, { wanted, frozen: new Set(["frozen"]) });
  assert.deepEqual([...waiting].sort(), ["given", "gone", "loses", "moves", "new", "takes"]);
  assert.deepEqual(waitingFor(running, { wanted: before, frozen: nobody }), nobody);
});

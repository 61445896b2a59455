import assert from "node:assert/strict";
import { localPortProblem } from "./local_ports.ts";
import type { Listener } from "./routing/plan.ts";

const EGRESS = { host: "127.0.0.1", port: 7410 };

function ask(port: number, held: readonly (readonly [number, Listener])[] = [], wanted: Record<string, number> = {}) {
  const services = new Map(Object.entries(wanted).map(([name, localPort]) => [name, { name, localPort }]));
  return localPortProblem({
    service: "db",
    port,
    held: new Map(held),
    wanted: services,
    frozen: new Set(["stays"]),
    egress: EGRESS,
  });
}

Deno.test("localPortProblem() tells a port that somebody else has from one that can be had", () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  assert.equal(ask(port), `Cannot serve it at 127.0.0.1:${port}: somebody else uses it`);
  assert.equal(ask(port, [[port, { service: "db", speaks: "tcp" }]]), undefined, "HAProxy itself holds it");
  listener.close();
  assert.equal(ask(port, [], { db: port }), undefined);
  assert.equal(
    ask(port, [], { db: port, cache: port }),
    `Cannot serve it at 127.0.0.1:${port}: it is the port of "cache"`,
  );
  assert.equal(
    ask(port, [[port, { service: "stays", speaks: "tcp" }]]),
    `Cannot serve it at 127.0.0.1:${port}: it is the port of "stays"`,
  );
  assert.equal(ask(7410), "Cannot serve it at 127.0.0.1:7410: it is the egress port of this sidecar");
});

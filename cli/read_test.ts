import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import { Instance_Status, ServiceSpec_Protocol } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { GetMapRequest } from "../proto/gen/portolan/v1/discovery_pb.ts";
import { type Script, serveFake } from "../sdk-ts/testing/control_plane.ts";
import { lines, run, spawn } from "./testing/run.ts";

const instance = (id: string, version: number, enabled = true) => ({
  id,
  host: "::1",
  port: 80,
  version,
  weight: 100,
  enabled,
  status: Instance_Status.UNKNOWN,
  metadata: { team: id },
});
const IDENTITY = {
  name: "identity",
  modified: 4n,
  specModified: 2n,
  enabled: true,
  instances: [instance("a", 1), {
    ...instance("b", 2, false),
    modified: 4n,
    draining: true,
    held: true,
    ttl: { seconds: 15n, nanos: 0 },
    zone: "z",
    hostId: "h",
  }],
  aliases: [{
    name: "live",
    modified: 3n,
    route: { split: [{ version: 1, share: 9000 }, { version: 2, share: 1000 }] },
  }],
};
const position = { epoch: 1n, revision: 5n };
const MAP: Script = {
  getMap: () => [
    { position, complete: true, set: [{ name: "teams", enabled: false }] },
    { position, complete: true, set: [IDENTITY], last: true },
  ],
};

async function read(script: Script, ...args: string[]) {
  await using server = await serveFake(script);
  return await run(args, { PORTOLAN_CONTROL_PLANE: server.address });
}

Deno.test("services prints an aligned table by name, or the contract's JSON", async () => {
  assert.equal(
    (await read(MAP, "services")).out,
    `SERVICE   ENABLED  UP   HELD  DRAINING  VERSIONS  ALIASES
identity  yes      1/2  1     1         v1 v2     live: v1=9000 v2=1000
teams     no       0/0  -     -         -         -
`,
  );
  const { position, services } = JSON.parse((await read(MAP, "services", "--output", "json")).out);
  assert.deepEqual(position, { epoch: "1", revision: "5" });
  assert.deepEqual([services[0].name, services[0].instances[0].status, services[1].instances], [
    "identity",
    "UNKNOWN",
    [],
  ]);
});

Deno.test("services says so when there are none", async () => {
  const script = { getMap: () => [{ position, complete: true, last: true }] };
  assert.equal((await read(script, "services", "--realm", "empty")).out, 'No services in realm "empty" yet\n');
  assert.equal((await read(script, "show", "identity")).exit, 1);
});

Deno.test("show prints a service with its aliases and instances", async () => {
  const { out } = await read(MAP, "show", "identity");
  assert.equal(
    out,
    `service     identity
enabled     yes
revision    2 (with instances and aliases: 4)
protocol    HTTP1
check       TCP every 2s, rise 2, fall 3
balancer    P2C
limits      none
local port  none
policy      default

ALIAS  LEADS TO         REVISION
live   v1=9000 v2=1000  3

INSTANCE  ADDRESS   VERSION  WEIGHT  ENABLED  STATUS                   TTL  ZONE  HOST  REVISION  METADATA
a         [::1]:80  v1       100     yes      unknown                  -    -     -     0         team=a
b         [::1]:80  v2       100     no       unknown, draining, held  15s  z     h     4         team=b
`,
  );
  assert.match((await read(MAP, "show", "teams")).out, /^live +all enabled instances +-$[^]*^No instances$/m);
  assert.equal(JSON.parse((await read(MAP, "show", "identity", "--output", "json")).out).aliases[0].name, "live");
});

Deno.test("services and show ask for the map as it was", async () => {
  const asked: GetMapRequest[] = [];
  const script: Script = {
    getMap: (request) => {
      asked.push(request as GetMapRequest);
      return [{ position, complete: true, last: true }];
    },
  };
  assert.equal((await read(script, "services", "--at", "3")).out, 'No services in realm "local" then\n');
  const { exit, err } = await read(script, "show", "identity", "--at", "2026-11-21T12:00:00Z");
  assert.equal(exit, 1);
  assert.match(
    err,
    /Cannot find service "identity" in realm "local": it did not exist then; .*history says since when/,
  );
  assert.equal(asked[0]?.atRevision, 3n);
  assert.equal(asked[1]?.atTime?.seconds, BigInt(Date.UTC(2026, 10, 21, 12) / 1000));
});

Deno.test("watch prints what changes until it is interrupted", async () => {
  const ended = Promise.withResolvers<void>();
  const script: Script = {
    async watch({ heard, send }) {
      await heard.next();
      send(1, { position, complete: true, last: true, set: [IDENTITY, { name: "teams", enabled: true }] });
      await heard.next();
      const changed = { ...IDENTITY, instances: [instance("a", 1, false)], aliases: [] };
      send(1, { position: { epoch: 1n, revision: 6n }, last: true, set: [changed], deleted: ["teams"] });
      await heard.next();
      const spec = { protocol: ServiceSpec_Protocol.H2C };
      send(1, { position: { epoch: 2n, revision: 9n }, complete: true, last: true, set: [{ ...changed, spec }] });
      while (!(await heard.next()).done);
      ended.resolve();
    },
  };
  await using server = await serveFake(script);
  const child = spawn(["watch"], { PORTOLAN_CONTROL_PLANE: server.address });
  const printed: string[] = [];
  for await (const line of lines(child.stdout)) {
    printed.push(line);
    if (printed.length === 7) child.kill("SIGINT");
  }
  assert.deepEqual(printed, [
    'Following realm "local" from position 1.5: 2 services',
    "6  identity  instance a disabled",
    "6  identity  instance b removed",
    "6  identity  alias live removed",
    "6  teams  removed",
    "9  the map begins epoch 2: it was imported or restored",
    "9  identity  protocol H2C",
  ]);
  assert.equal((await child.status).code, 0);
  assert.deepEqual(await Array.fromAsync(lines(child.stderr)), []);
  await ended.promise;
});

Deno.test("watch prints JSON lines, and goes on through what is refused meanwhile", async () => {
  let sessions = 0;
  await using server = await serveFake({
    async watch({ heard, send, close }) {
      await heard.next();
      const first = ++sessions === 1;
      send(
        first ? 1 : 2,
        first ? { position, complete: true, last: true, set: [{ name: "teams", enabled: true }] } : {
          position: { epoch: 1n, revision: 6n },
          last: true,
          deleted: ["teams"],
        },
      );
      await heard.next();
      if (first) close(status.PERMISSION_DENIED, "not now");
    },
  });
  const child = spawn(["watch", "teams", "--output", "json"], { PORTOLAN_CONTROL_PLANE: server.address });
  const printed: unknown[] = [];
  for await (const line of lines(child.stdout)) {
    printed.push(JSON.parse(line));
    if (printed.length === 2) child.kill("SIGINT");
  }
  assert.deepEqual(printed, [
    { position: "1.5", realm: "local", services: ["teams"] },
    { position: "1.6", realm: "local", service: "teams", change: "removed" },
  ]);
  assert.match((await Array.fromAsync(lines(child.stderr))).join("\n"), /not now, trying again$/);
  assert.equal((await child.status).code, 0);
});

Deno.test("watch ends with what is refused from the start", async () => {
  const script: Script = { watch: ({ close }) => close(status.PERMISSION_DENIED, "no more") };
  const { exit, err } = await read(script, "watch", "teams");
  assert.equal(exit, 1);
  assert.match(err, /Cannot follow the map: no more\n$/);
});

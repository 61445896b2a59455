import assert from "node:assert/strict";
import { createClient } from "../../proto/grpc.ts";
import { FleetService } from "../../proto/gen/portolan/v1/fleet_pb.ts";
import { start } from "./testing/program.ts";

// Runtimes whose HTTP/2 breaks over this abort the whole server within a few hundred: see docs/adr/0008.
const CLIENTS = 1_000;

Deno.test("a control plane outlives clients that come, ask once and go", async () => {
  const args = ["--store", "memory:", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"];
  await using controlPlane = start("control-plane/main.ts", "control-plane", args);
  const { grpc } = await controlPlane.logged("Serving");
  for (let n = 0; n < CLIENTS; n++) {
    const client = createClient(FleetService, String(grpc), { "grpc.use_local_subchannel_pool": 1 });
    const { position } = await client.listFollowers({ realm: "local" });
    client.close();
    assert.equal(position?.revision, 1n);
  }
  // One that asks much before it goes is another way to the same end.
  for (let n = 0; n < 5; n++) {
    const client = createClient(FleetService, String(grpc), { "grpc.use_local_subchannel_pool": 1 });
    await Promise.all(Array.from({ length: 200 }, () => client.listFollowers({ realm: "local" })));
    client.close();
  }
  assert.equal((await controlPlane.end("SIGTERM")).code, 0, controlPlane.output());
});

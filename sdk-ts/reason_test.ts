import assert from "node:assert/strict";
import { RegistryService } from "../proto/gen/portolan/v1/registry_pb.ts";
import { createClient } from "../proto/grpc.ts";
import { reasonOf } from "./reason.ts";
import { serveFake } from "./testing/control_plane.ts";

Deno.test("reasonOf() says what keeps a connection from a control plane, without what is around it", async () => {
  const gone = await serveFake({});
  await gone[Symbol.asyncDispose]();
  const client = createClient(RegistryService, gone.address, { "grpc.use_local_subchannel_pool": 1 });
  const error = await client.register({}).catch((error) => error);
  client.close();
  assert.match(error.details, /^No connection established/);
  assert.equal(reasonOf(error), `connect ECONNREFUSED ${gone.address}`);
});

Deno.test("reasonOf() leaves everything else as it was said", () => {
  const rows: (readonly [unknown, string])[] = [
    [{ details: "no store", message: "14 UNAVAILABLE: no store" }, "no store"],
    [{ details: "", message: "14 UNAVAILABLE" }, "14 UNAVAILABLE"],
    [new Error("nothing came for 5000 ms"), "nothing came for 5000 ms"],
    ["gone", "gone"],
    [unconnected("write EPIPE (2026-01-31T12:00:00.123Z)"), "write EPIPE"],
    [unconnected("Error: connect ETIMEDOUT [::1]:80"), "connect ETIMEDOUT [::1]:80"],
    [unconnected("null"), unconnected("null").details],
  ];
  for (const [error, reason] of rows) assert.equal(reasonOf(error), reason);
});

function unconnected(error: string) {
  return { details: `No connection established. Last error: ${error}. Resolution note: ` };
}

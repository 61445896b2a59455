import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Metadata, status } from "@grpc/grpc-js";
import { BadRequestSchema } from "../proto/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../proto/gen/google/rpc/status_pb.ts";
import type {
  DeregisterRequest,
  PutAliasRequest,
  RegisterRequest,
  SetEnabledRequest,
} from "../proto/gen/portolan/v1/registry_pb.ts";
import { encode } from "../proto/grpc.ts";
import { type Script, serveFake } from "../sdk-ts/testing/control_plane.ts";
import { type Outcome, run } from "./testing/run.ts";

async function against(script: Script, ...args: string[]): Promise<Outcome> {
  await using server = await serveFake(script);
  return await run(args, { PORTOLAN_CONTROL_PLANE: `127.0.0.1:9,${server.address}` });
}

Deno.test("register sends what is said and leaves the rest to the server", async () => {
  const seen: RegisterRequest[] = [];
  const script = { register: (request: RegisterRequest) => (seen.push(request), { revision: 7n }) };
  const bare = await against(script, "register", "identity", "127.0.0.1:8080");
  assert.deepEqual(bare, {
    exit: 0,
    out: "Registered identity/127-0-0-1-8080 at 127.0.0.1:8080 (revision 7)\n",
    err: "",
  });
  const full = ["register", "identity", "[::1]:80", "--id", "i1", "--version", "2", "--weight", "0", "--zone", "a"]
    .concat(["--host-id", "h", "--metadata", "k=v=w", "--metadata", "l=x,y", "--ttl", "1.5s", "--realm", "testing"])
    .concat(["--reason", "new", "--output", "json"]);
  assert.equal((await against(script, ...full)).out, '{"revision":"7"}\n');

  const [first, second] = seen;
  assert.deepEqual([first?.realm, first?.id, first?.instance?.version, first?.instance?.ttl], [
    "local",
    "127-0-0-1-8080",
    undefined,
    undefined,
  ]);
  const { host, port, version, weight, zone, hostId, metadata, ttl } = second?.instance ?? {};
  assert.deepEqual([host, port, version, weight, zone, hostId], ["::1", 80, 2, 0, "a", "h"]);
  assert.deepEqual([{ ...metadata }, ttl?.seconds, ttl?.nanos], [{ k: "v=w", l: "x,y" }, 1n, 500_000_000]);
  assert.deepEqual([second?.realm, second?.id, second?.options?.reason], ["testing", "i1", "new"]);
});

Deno.test("deregister, enable, disable, alias and split say what they mean", async () => {
  const removals: DeregisterRequest[] = [];
  const switches: SetEnabledRequest[] = [];
  const aliases: PutAliasRequest[] = [];
  const keep = <T>(seen: T[]) => (request: T) => (seen.push(request), { revision: 3n });
  const script = { deregister: keep(removals), setEnabled: keep(switches), putAlias: keep(aliases) };
  const said: string[] = [];
  for (
    const line of [
      "deregister identity/i1",
      "disable identity/i1",
      "enable identity",
      "alias identity canary v2",
      "split identity v1=9000 v2=1000",
      "split identity canary v1=1 v2=9999 --sticky-header x-user",
    ]
  ) said.push((await against(script, ...line.split(" "))).out);
  assert.deepEqual(said, [
    "Deregistered identity/i1 (revision 3)\n",
    "Disabled identity/i1 (revision 3)\n",
    "Enabled identity (revision 3)\n",
    "canary.identity leads to v2 (revision 3)\n",
    "live.identity leads to v1=9000 v2=1000 (revision 3)\n",
    "canary.identity leads to v1=1 v2=9999 (revision 3)\n",
  ]);
  assert.deepEqual(removals.map(({ service, id }) => [service, id]), [["identity", "i1"]]);
  assert.deepEqual(switches.map(({ id, enabled }) => [id, enabled]), [["i1", false], ["", true]]);
  const routes = aliases.map(({ alias, route }) => [
    alias,
    route?.version || route?.split.map(({ version, share }) => [version, share]),
    route?.stickyHeader,
  ]);
  assert.deepEqual(routes, [
    ["canary", 2, ""],
    ["live", [[1, 9000], [2, 1000]], ""],
    ["canary", [[1, 1], [2, 9999]], "x-user"],
  ]);
});

Deno.test("a refusal names the fields, out of the details beside its sentence", async () => {
  const fieldViolations = [{ field: "ttl", description: "leases are not served yet" }, {
    field: "port",
    description: "0",
  }];
  const metadata = new Metadata();
  const details = [anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations }))];
  metadata.set("grpc-status-details-bin", encode(StatusSchema, create(StatusSchema, { details })));
  const register = () => ({ code: status.INVALID_ARGUMENT, details: "bad request", metadata });
  const { exit, out, err } = await against({ register }, "register", "identity", "127.0.0.1:8080");
  assert.deepEqual([exit, out], [1, ""]);
  assert.equal(
    err,
    'portolan register: Cannot register "identity/127-0-0-1-8080": ttl: leases are not served yet; port: 0\n',
  );
});

Deno.test("other refusals keep their sentence, and end with what they mean", async () => {
  const rows: [status, string, number, RegExp][] = [
    [status.NOT_FOUND, 'Cannot find instance "a/b": it does not exist', 1, /exist; \.\/portolan services and /],
    [status.UNAVAILABLE, "the disk is full", 3, /Cannot deregister "a\/b": the disk is full; try again/],
    [status.UNKNOWN, "who knows", 1, /it may have been done/],
    [status.PERMISSION_DENIED, "not\nyours\x1b[2J", 1, /: not yours \[2J\n$/],
    [status.UNIMPLEMENTED, "", 1, /the control plane answered UNIMPLEMENTED; the control plane at .* another version/],
  ];
  for (const [code, details, exit, sentence] of rows) {
    const outcome = await against({ deregister: () => ({ code, details }) }, "deregister", "a/b");
    assert.equal(outcome.exit, exit);
    assert.match(outcome.err, sentence);
    assert.equal(outcome.err.split("\n").length, 2);
  }
});

import assert from "node:assert/strict";
import type { Position } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { Follower_Kind } from "../proto/gen/portolan/v1/discovery_pb.ts";
import { follow } from "../sdk-ts/follow.ts";
import { run } from "./main.ts";
import { type StartedControlPlane, startedControlPlane } from "./testing/control_plane.ts";

/** A sidecar that holds the newest map, and routes by it when it is told to. */
function sidecar({ grpc }: StartedControlPlane, id: string) {
  const following = follow({
    controlPlanes: [grpc],
    scope: { realm: "local", services: [] },
    follower: { id, kind: Follower_Kind.SIDECAR, program: "test/1", zone: "z" },
  });
  const snapshots = following[Symbol.asyncIterator]();
  let position: Position | undefined;
  const newest = async (revision: bigint): Promise<Position> => {
    while (!position || position.revision < revision) position = (await snapshots.next()).value?.position;
    return position;
  };
  return { following, newest, [Symbol.asyncDispose]: () => following[Symbol.asyncDispose]() };
}

const revisionOf = (json: string) => BigInt(JSON.parse(json).revision);

Deno.test("wait and followers name who is behind, cannot use a service, or is gone, until it is forgotten", async () => {
  await using plane = await startedControlPlane();
  const { run, done } = plane;
  assert.match(await done("wait", "--timeout", "0s"), /^Revision \d+ is everywhere\n$/);
  const register = ["register", "identity", "127.0.0.1:8080", "--output", "json"];
  const revision = revisionOf(await done(...register));
  const here = await sidecar(plane, "rack1");
  const position = await here.newest(revision);

  const behind = await run("wait", "--revision", `${revision}`, "--timeout", "0s");
  assert.deepEqual([behind.exit, behind.out], [1, "FOLLOWER  WHY\nrack1     has applied nothing yet\n"]);
  assert.match(behind.err, /^portolan wait: Revision \d+ is not everywhere after 0 s: 1 follower behind\n$/);

  here.following.applied({ ...position, epoch: position.epoch - 1n, revision: revision + 9n });
  const other = await run("wait", "--revision", `${revision}`, "--timeout", "0.1s");
  assert.equal(other.out, `FOLLOWER  WHY\nrack1     in epoch ${position.epoch - 1n}, not ${position.epoch}\n`);

  here.following.applied(position, [{ service: "identity", reason: "too many rows" }]);
  const refused = await run("wait", "--revision", `${revision}`, "--timeout", "0.1s");
  assert.equal(refused.out, 'FOLLOWER  WHY\nrack1     cannot use service "identity": too many rows\n');
  assert.match(refused.err, /: 1 follower unable to use a service as the map has it\n$/);
  const [list, json] = [await done("followers"), JSON.parse(await done("followers", "--output", "json"))];
  assert.match(list, /^rack1 +sidecar +test\/1 +z +yes +\d+ +\d+ +\d+ +identity$/m);
  assert.equal(json.followers[0].refused[0].reason, "too many rows");

  const waiting = run("wait", "--revision", `${revision}`, "--timeout", "30s", "--output", "json");
  here.following.applied(position);
  const { verdict, laggards, revision: waited } = JSON.parse((await waiting).out);
  assert.deepEqual([verdict, laggards, waited], ["DONE", [], `${revision}`]);

  assert.match((await run("followers", "forget", "rack1")).err, /Cannot forget follower "rack1": it is connected/);
  await here[Symbol.asyncDispose]();
  const gone = await run("wait", "--timeout", "0s", "--output", "json");
  assert.deepEqual([gone.exit, JSON.parse(gone.out).verdict], [1, "WAITING"]);
  const away = await run("wait", "--timeout", "0s");
  assert.match(away.out, /^rack1 +not connected/m);
  assert.match(away.err, /: 1 follower not connected; \.\/portolan followers forget ID drops one that /);
  assert.match(await done("followers"), /^rack1 .* no /m);
  assert.match(await done("followers", "forget", "rack1"), /^Forgot rack1 \(revision \d+\)\n$/);
  assert.match(await done("wait", "--timeout", "0s"), /is everywhere/);
  assert.equal(await done("followers"), "No followers\n");

  const unknown = await run("followers", "forget", "rack1");
  assert.equal(unknown.exit, 1);
  assert.match(unknown.err, /Cannot forget .*"rack1".*; \.\/portolan followers lists them\n$/);
});

Deno.test("wait without a revision keeps to the one that was the newest at first, and says meanwhile who is behind", async () => {
  await using plane = await startedControlPlane();
  const register = ["register", "identity", "127.0.0.1:8080", "--output", "json"];
  await using here = sidecar(plane, "rack1");
  // A sidecar's first connection is a commit, too.
  await here.newest(0n);
  const position = await here.newest(revisionOf(await plane.done(...register)));
  const said = new TransformStream<string, string>();
  const writer = said.writable.getWriter();
  const lines = said.readable.getReader();
  let out = "";
  const waiting = run(["wait", "--output", "json", "--timeout", "10s"], {
    env: plane.env,
    out: (text) => out += text,
    err: (text) => void writer.write(text),
    lookedOn: true,
  });
  assert.match((await lines.read()).value ?? "", /portolan wait: waiting for revision \d+: rack1$/);
  await plane.done(...register, "--weight", "1");
  // It has asked again since.
  await lines.read();
  here.following.applied(position);
  assert.equal(await waiting, 0);
  assert.equal(JSON.parse(out).revision, `${position.revision}`);
});

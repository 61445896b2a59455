import assert from "node:assert/strict";
import { startedControlPlane } from "./testing/control_plane.ts";

Deno.test("history says who changed what, when and why; the map can be read as it was", async () => {
  await using plane = await startedControlPlane();
  const { run, done } = plane;
  assert.equal(await done("history"), "Nothing is remembered\n");
  await done("register", "identity", "127.0.0.1:8080", "--id", "one", "--reason", "a new host");
  await done("register", "teams", "127.0.0.1:8081", "--id", "one");
  await done("disable", "identity/one", "--operation-id", "op-1");
  await done("alias", "identity", "live", "v1");
  const table = await done("history");
  const [head, first, second, ...more] = table.trimEnd().split("\n");
  assert.match(head ?? "", /^REVISION +TIME +WHO +OPERATION +SERVICE +REASON +CHANGE$/);
  assert.match(first ?? "", /^\d+ +20\S+Z +\S+ +register +identity +a new host +added$/);
  assert.match(second ?? "", /^ +instance one added: 127\.0\.0\.1:8080 v1 weight 100$/);
  assert.deepEqual(more.map((line) => line.replace(/^.*(identity|teams) +\S+ +/, "").trim()), [
    "added",
    "instance one added: 127.0.0.1:8081 v1 weight 100",
    "instance one disabled",
    "alias live leads to v1",
  ]);

  const lines = async (...args: string[]) =>
    (await done("history", "--output", "json", ...args)).trimEnd().split("\n").map((line) => JSON.parse(line));
  const all = await lines();
  assert.deepEqual(all.map(({ operation }) => operation), ["register", "register", "set_enabled", "put_alias"]);
  assert.deepEqual((await lines("identity")).map(({ revision }) => revision), [0, 2, 3].map((i) => all[i].revision));
  assert.deepEqual(await lines("--limit", "1"), all.slice(3));
  assert.deepEqual(await lines("--limit", "0", "--after", all[1].revision), all.slice(2));
  assert.deepEqual(await lines("--operation-id", "op-1"), [all[2]]);
  assert.deepEqual([all[0].before ?? null, all[2].before.instances[0].enabled], [null, true]);

  const then = ["--at", all[0].revision];
  assert.deepEqual((await done("services", ...then)).split("\n").length, 3);
  assert.match(await done("show", "identity", ...then), /^one .* yes +unknown/m);
  assert.match((await run("show", "teams", ...then)).err, /it did not exist then/);
  assert.match(await done("show", "identity", "--at", all[3].time), /^live +v1 /m);
  assert.match(await done("show", "identity"), /^one .* no +unknown/m);
  assert.equal(await done("services", "--at", "1970-01-01T00:00:00Z"), 'No services in realm "local" then\n');
});

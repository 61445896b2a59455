/** Commands that change what is on the map, against a control plane as users start it. */
import assert from "node:assert/strict";
import { startedControlPlane } from "./testing/control_plane.ts";
import { lines } from "./testing/run.ts";

Deno.test("drain, disable and enable turn an instance, a service, or all of a host", async () => {
  await using plane = await startedControlPlane();
  const { run, done } = plane;
  const said = async (...args: string[]) => (await done(...args)).replace(/\d+\)/, "N)");
  const up = async () =>
    (await done("services")).match(/\d\/\d +\S+ +\S+/g)?.map((cells) => cells.split(/ +/).join(" "));
  for (const [service, id, host] of [["identity", "one", "h1"], ["identity", "two", "h2"], ["teams", "one", "h1"]]) {
    await done("register", `${service}`, "127.0.0.1:8080", "--id", `${id}`, "--host-id", `${host}`);
  }
  assert.equal(await said("drain", "--host", "h1"), 'Draining all instances of host "h1" (revision N)\n');
  assert.deepEqual(await up(), ["1/2 - 1", "0/1 - 1"]);
  assert.equal(await said("enable", "identity/one"), "Enabled identity/one (revision N)\n");
  assert.deepEqual(await up(), ["2/2 - -", "0/1 - 1"]);
  assert.equal(await said("drain", "identity"), "Draining identity (revision N)\n");
  assert.equal(await said("drain", "teams/one"), "Draining teams/one (revision N)\n");
  assert.deepEqual(await up(), ["0/2 - 2", "0/1 - 1"]);
  assert.equal(await said("disable", "--host", "h2"), 'Disabled all instances of host "h2" (revision N)\n');
  assert.match(await done("show", "identity"), /^two .* no +unknown, draining/m);
  const nobody = await run("drain", "--host", "h3");
  assert.equal(nobody.exit, 1);
  assert.match(
    nobody.err,
    /^portolan drain: Cannot .*"h3".*; \.\/portolan show SERVICE names the host of each instance\n$/,
  );
  const many = await run("drain", "--host", "h1", "--if-revision", "1");
  assert.match(many.err, /^portolan drain: Cannot drain all instances of host "h1": --if-revision: expected .*\n$/);
});

Deno.test("remove, alias --delete and deregister take off the map what they name", async () => {
  await using plane = await startedControlPlane();
  const { run, done } = plane;
  await done("register", "identity", "127.0.0.1:8080", "--id", "one");
  await done("alias", "identity", "canary", "v1");
  assert.match(
    await done("alias", "identity", "canary", "--delete"),
    /^canary\.identity is removed \(revision \d+\)\n$/,
  );
  const again = await run("alias", "identity", "canary", "--delete");
  assert.equal(again.exit, 1);
  assert.match(again.err, /^portolan alias: Cannot .*; \.\/portolan show identity lists what there is\n$/);
  const refused = await run("remove", "identity");
  assert.equal(refused.exit, 1);
  assert.match(refused.err, /^portolan remove: Cannot .* an instance.* \(--force\)\n$/);
  assert.match(await done("remove", "identity", "--force"), /^Removed identity \(revision \d+\)\n$/);
  assert.equal(await done("services"), 'No services in realm "local" yet\n');
});

Deno.test("alias and split say where they lead to nobody, and are done all the same", async () => {
  await using plane = await startedControlPlane();
  const told = async (...args: string[]) => {
    const { exit, err } = await plane.run(...args);
    assert.equal(exit, 0, err);
    return err;
  };
  const isNew = 'portolan split: Service "identityy" is new, and has no instance\n';
  assert.equal(await told("split", "identityy", "v1=5000", "v2=5000"), isNew);
  assert.match(await told("split", "identityy", "v1=1", "v2=9999"), /: Version 1 of "identityy" has no instance\n/);
  await plane.done("register", "identity", "127.0.0.1:8080", "--id", "one");
  assert.equal(await told("alias", "identity", "canary", "v1"), "");
  const nobody = 'Version 7 of "identity" has no instance\n';
  assert.equal(await told("split", "identity", "v1=5000", "v7=5000"), `portolan split: ${nobody}`);
  assert.equal(await told("alias", "identity", "canary", "v7", "--output", "json"), `portolan alias: ${nobody}`);
  assert.equal(await told("alias", "identity", "canary", "--delete"), "");
});

Deno.test("--if-revision holds a write to what its writer saw, --operation-id makes its repeat one", async () => {
  await using plane = await startedControlPlane();
  const { run, done } = plane;
  const revisionOf = async (...args: string[]) => JSON.parse(await done(...args, "--output", "json")).revision;
  const register = ["register", "identity", "127.0.0.1:8080", "--id", "one"];
  const first = await revisionOf(...register, "--if-revision", "0");
  const there = await run(...register, "--weight", "1", "--if-revision", "0");
  assert.equal(there.exit, 1);
  assert.match(there.err, /^portolan register: Cannot .*\n$/);
  const second = await revisionOf("disable", "identity/one", "--if-revision", first, "--operation-id", "op-1");
  assert.equal(await revisionOf("disable", "identity/one", "--if-revision", first, "--operation-id", "op-1"), second);
  for (
    const args of [
      ["enable", "identity/one"],
      ["drain", "identity/one"],
      ["deregister", "identity/one"],
      ["remove", "identity", "--force"],
    ]
  ) assert.equal((await run(...args, "--if-revision", "1000")).exit, 1, args.join(" "));
  const live = await revisionOf("alias", "identity", "live", "v1", "--if-revision", "0");
  assert.equal((await run("split", "identity", "v1=1", "v2=9999", "--if-revision", "0")).exit, 1);
  await done("split", "identity", "v1=1", "v2=9999", "--if-revision", live);
  assert.match((await done("history", "--operation-id", "op-1")).split("\n")[1] ?? "", / instance one disabled$/);
});

Deno.test("deregister --held lets go what the brake holds", async () => {
  await using plane = await startedControlPlane();
  const watch = plane.spawn("watch");
  const seen = lines(watch.stdout);
  await seen.next();
  for (let i = 0; i < 5; i++) {
    await plane.done("register", "identity", `127.0.0.1:808${i}`, "--id", `i${i}`, "--ttl", "1s");
  }
  const held = new Set<string>();
  for await (const line of seen) {
    const [, id] = /instance (i\d) held: its lease ran out with many others$/.exec(line) ?? [];
    if (id) held.add(id);
    if (held.size === 5) watch.kill("SIGINT");
  }
  await Promise.all([watch.status, watch.stderr.cancel()]);
  assert.match(await plane.done("services"), /^identity +yes +5\/5 +5 /m);
  assert.match(await plane.done("show", "identity"), /^i0 .* unknown, held +1s /m);
  const { released, revision } = JSON.parse(await plane.done("deregister", "--held", "--output", "json"));
  assert.deepEqual([released, typeof revision], [5, "string"]);
  assert.match(await plane.done("deregister", "--held"), /^Let go 0 held instances \(revision \d+\)\n$/);
  assert.match(await plane.done("services"), /^identity +yes +0\/0 +- /m);
});

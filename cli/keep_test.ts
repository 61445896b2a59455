import assert from "node:assert/strict";
import { startedControlPlane } from "./testing/control_plane.ts";
import { lines } from "./testing/run.ts";

Deno.test("register with a ttl prints its lease, which others can join and which ends unless it is renewed", async () => {
  await using plane = await startedControlPlane();
  const { run, done } = plane;
  const table = await done("register", "identity", "127.0.0.1:8080", "--id", "one", "--ttl", "600s");
  assert.match(
    table,
    /^Registered identity\/one at 127\.0\.0\.1:8080 \(revision \d+\)\nIt leaves the map after 600s unless its lease is renewed, as --keep would do: \S+\n$/,
  );
  const lease = table.trimEnd().split(" ").at(-1) ?? "";
  const join = ["register", "teams", "127.0.0.1:8081", "--ttl", "600s", "--lease-id", lease, "--output", "json"];
  const joined = JSON.parse(await done(...join));
  assert.deepEqual([joined.leaseId, Object.keys(joined)], [lease, ["revision", "leaseId"]]);
  assert.match(await done("show", "identity"), /^one .* 600s /m);
  assert.match((await run(...join, "--ttl", "601s")).err, /^portolan register: Cannot .*\n$/);
  assert.match(
    (await run(...join.slice(0, 5), "--lease-id", "none")).err,
    /^portolan register: Cannot join lease "none": [^.]*\n$/,
  );

  const watch = plane.spawn("watch", "identity");
  const printed = lines(watch.stdout);
  await printed.next();
  await done("register", "identity", "127.0.0.1:8082", "--id", "brief", "--ttl", "1s");
  const said: string[] = [];
  for await (const line of printed) {
    said.push(line.replace(/^\d+ +/, ""));
    if (said.length === 2) watch.kill("SIGINT");
  }
  await watch.status;
  await watch.stderr.cancel();
  assert.deepEqual(said, [
    "identity  instance brief added: 127.0.0.1:8082 v1 weight 100 ttl 1s",
    "identity  instance brief removed",
  ]);
});

for (const output of ["table", "json"]) {
  Deno.test(`register --keep renews until Ctrl-C, then deregisters (${output})`, async () => {
    await using plane = await startedControlPlane();
    const args = ["register", "identity", "127.0.0.1:8080", "--id", "one", "--ttl", "1s", "--keep"];
    const child = plane.spawn(...args, "--output", output);
    const printed = lines(child.stdout);
    const first = (await printed.next()).value;
    if (output === "json") assert.equal(JSON.parse(first ?? "").event, "registered");
    else assert.match(first ?? "", /^Registered .* \(revision \d+\), renewing its lease; Ctrl-C deregisters it$/);
    // What another lease of this length comes to is this one's first whole ttl.
    const watch = plane.spawn("watch");
    const seen = lines(watch.stdout);
    await seen.next();
    await plane.done("register", "teams", "127.0.0.1:8081", "--id", "brief", "--ttl", "1.5s");
    const changes: string[] = [];
    for await (const line of seen) {
      changes.push(line.replace(/^\d+ +/, ""));
      if (line.includes("brief removed")) child.kill("SIGINT");
      if (line.includes("one removed")) watch.kill("SIGINT");
    }
    assert.deepEqual(changes.slice(-2), ["teams  instance brief removed", "identity  instance one removed"]);
    const rest = await Array.fromAsync(printed);
    assert.deepEqual(rest, [output === "json" ? '{"event":"deregistered"}' : "Deregistered identity/one"]);
    assert.equal((await child.status).code, 0);
    assert.deepEqual(await Array.fromAsync(lines(child.stderr)), []);
    await Promise.all([watch.status, watch.stderr.cancel()]);
    const operations = (await plane.done("history", "identity", "--output", "json")).match(/"operation":"[a-z]+"/g);
    assert.deepEqual(operations, ['"operation":"register"', '"operation":"deregister"']);
  });
}

Deno.test("register --keep ends with what is refused, and with nobody to reach", async () => {
  await using plane = await startedControlPlane();
  const args = ["register", "identity", "127.0.0.1:8080", "--keep"];
  const refused = await plane.run(...args, "--ttl", "0.5s");
  assert.equal(refused.exit, 1);
  assert.match(refused.err, /^portolan register: Cannot register "identity\/127-0-0-1-8080": .*ttl.*\n$/);
  assert.equal((await plane.run(...args, "--control-plane", "127.0.0.1:9")).exit, 3);
});

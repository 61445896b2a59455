import assert from "node:assert/strict";
import { ask, fieldsOf, testControlPlane, type TestPlane } from "./testing.ts";

const BODIES: Readonly<Record<string, object>> = {
  "/services/a/instances/i1": { host: "a", port: 1 },
  "/services/b/aliases/live": { version: 1 },
  "/services/c": { localPort: 1 },
};
const PATHS = Object.keys(BODIES);

const put = (plane: TestPlane, path: string, headers: Record<string, string> = {}, more: object = {}) =>
  plane.http("PUT", path, { headers, body: { ...BODIES[path], ...more } });

/** Something else that each of them may be. */
const OTHERS = [{ port: 2 }, { version: 2 }, { localPort: 2 }];

Deno.test("If-Match lets a write pass while its resource is as it was, and says 412 when it moved on", async () => {
  await using plane = await testControlPlane();
  for (const [i, path] of PATHS.entries()) {
    assert.equal((await put(plane, path, { "if-match": "*" })).status, 412, "it does not exist");
    assert.equal((await put(plane, path, { "if-match": '"1"' })).status, 412);
    const first = (await put(plane, path)).headers.get("etag")!;
    assert.equal((await plane.http("GET", path)).headers.get("etag"), first);
    const second = await put(plane, path, { "if-match": first }, OTHERS[i]);
    assert.equal(second.status, 200);
    const moved = await put(plane, path, { "if-match": first });
    assert.deepEqual([moved.status, moved.json.code], [412, "FAILED_PRECONDITION"]);
    assert.equal((await plane.http("DELETE", path, { headers: { "if-match": first } })).status, 412);
    assert.equal((await put(plane, path, { "if-match": "*" })).status, 200);
  }
  for (const [verb, path] of [["disable", PATHS[0]], ["drain", PATHS[0]], ["disable", PATHS[2]]] as const) {
    const headers = { "if-match": (await plane.http("GET", path!)).headers.get("etag")! };
    assert.equal((await plane.http("POST", `${path}:${verb}`, { headers })).status, 200);
    assert.equal((await plane.http("POST", `${path}:enable`, { headers })).status, 412);
    await plane.http("POST", `${path}:enable`);
  }
  // The service's own fields count: its instances come and go.
  const tag = (await plane.http("GET", PATHS[2]!)).headers.get("etag")!;
  await plane.http("PUT", "/services/c/instances/i1", { body: { host: "a", port: 1 } });
  assert.equal((await plane.http("DELETE", `${PATHS[2]}?force=true`, { headers: { "if-match": tag } })).status, 200);
});

Deno.test("If-None-Match: * creates only", async () => {
  await using plane = await testControlPlane();
  for (const path of PATHS) {
    assert.equal((await put(plane, path, { "if-none-match": "*" })).status, 200);
    assert.equal((await put(plane, path, { "if-none-match": "*" })).status, 412);
  }
  const created = await plane.http("PUT", "/services/a", { headers: { "if-none-match": "*" }, body: {} });
  assert.equal(created.status, 412, "its first instance created it");
});

Deno.test("conditions that this contract has no meaning for are refused by their header", async () => {
  await using plane = await testControlPlane();
  for (const path of PATHS) await put(plane, path);
  const { text } = await plane.http("GET", "/map");
  // Lists are not served, and nothing was ever at revision 0 or beyond all revisions.
  const bad = ['"1", "2"', 'W/"1", "2"', '"0"', '"x"', "1", '""', "", '"-1"', '"9223372036854775808"', '*, "1"'];
  for (const path of PATHS) {
    for (const value of bad) {
      const { status, ...answer } = await put(plane, path, { "if-match": value });
      assert.deepEqual([status, fieldsOf(answer)], [400, ["If-Match"]], value);
    }
    const weak = { "if-match": `W/${(await plane.http("GET", path)).headers.get("etag")}` };
    const { status, json } = await put(plane, path, weak, OTHERS[PATHS.indexOf(path)]);
    assert.deepEqual([status, json.code], [412, "FAILED_PRECONDITION"], "weak ones never match on a write");
    for (const value of ['"1"', 'W/"1"', "x", ""]) {
      assert.deepEqual(fieldsOf(await put(plane, path, { "if-none-match": value })), ["If-None-Match"], value);
    }
    const both = { "if-match": "*", "if-none-match": "*" };
    assert.deepEqual(fieldsOf(await put(plane, path, both)), ["If-None-Match"]);
  }
  for (const path of ["/services/a:drain", "/hosts/h1:drain", "/hosts/h1:enable", "/held:release"]) {
    for (const header of ["If-Match", "If-None-Match"]) {
      const answer = await plane.http("POST", path, { headers: { [header]: "*" } });
      assert.deepEqual(fieldsOf(answer), [header], path);
    }
  }
  const renewal = { headers: { "if-match": "*" }, body: { leaseId: "L" } };
  assert.deepEqual(fieldsOf(await plane.http("POST", "/services/a/instances/i1:renew", renewal)), ["If-Match"]);
  assert.deepEqual(fieldsOf(await plane.http("DELETE", "/followers/x", { headers: { "if-match": "*" } })), [
    "If-Match",
  ]);
  assert.equal((await plane.http("GET", "/map")).text, text);
});

Deno.test("a read whose tag is known is 304 without a body, but of a service, which has parts of its own", async () => {
  await using plane = await testControlPlane();
  for (const path of PATHS) await put(plane, path);
  for (const path of PATHS) {
    const tag = (await plane.http("GET", path)).headers.get("etag")!;
    for (const known of [tag, `W/${tag}`, `"7", ${tag}`, "*"]) {
      const { status, text, headers } = await plane.http("GET", path, { headers: { "if-none-match": known } });
      assert.deepEqual([status, text === ""], path === "/services/c" ? [200, false] : [304, true], `${path} ${known}`);
      assert.equal(headers.get("etag"), tag);
      assert.match(headers.get("portolan-position")!, /^\d+\.\d+$/);
    }
    for (const other of ['"7"', tag.slice(1, -1), "x", ""]) {
      assert.equal((await plane.http("GET", path, { headers: { "if-none-match": other } })).status, 200);
    }
  }
});

Deno.test("the same operation twice is done once and answered alike, over either transport", async () => {
  await using plane = await testControlPlane();
  const headers = { "portolan-operation-id": "op-1" };
  const path = "/services/a/instances/i1";
  const first = await plane.http("PUT", path, { headers, body: { host: "a", port: 1, ttl: "15s" } });
  await plane.http("PUT", path, { body: { host: "a", port: 2, ttl: "15s" } });
  const again = await plane.http("PUT", path, { headers, body: { host: "a", port: 1, ttl: "15s" } });
  assert.deepEqual([again.status, again.json], [200, first.json]);
  assert.equal(again.headers.get("portolan-revision"), first.json.revision);
  assert.equal((await plane.http("GET", path)).json.port, 2, "the repeat did not undo what came between");
  const options = { operationId: "op-1" };
  const instance = { host: "a", port: 1, ttl: { seconds: 15n, nanos: 0 } };
  const overGrpc = await plane.registry.register({ realm: "local", service: "a", id: "i1", instance, options });
  assert.deepEqual([String(overGrpc.revision), overGrpc.leaseId], [first.json.revision, first.json.leaseId]);
  // What a condition said then was so then.
  const conditional = { ...headers, "if-none-match": "*" };
  const body = { host: "a", port: 1, ttl: "15s" };
  assert.equal((await plane.http("PUT", path, { headers: conditional, body })).status, 200);
  const changed = await plane.http("PUT", path, { headers, body: { ...body, port: 3 } });
  assert.deepEqual([changed.status, fieldsOf(changed)], [400, ["operationId"]]);
  const used = await plane.http("DELETE", path, { headers });
  assert.deepEqual([used.status, fieldsOf(used)], [400, ["operationId"]]);
  const elsewhere = `${plane.origin}/api/v1/realms/testing${path}`;
  const other = await ask(elsewhere, "PUT", { headers, body: { host: "a", port: 1 } });
  assert.notEqual(other.json.revision, first.json.revision, "names of operations are of a realm");
  for (const [method, verb] of [["POST", ":disable"], ["POST", ":drain"], ["DELETE", ""]] as const) {
    const named = { headers: { "portolan-operation-id": `op${verb.replace(":", "-")}` } };
    const done = await plane.http(method, path + verb, named);
    const repeated = await plane.http(method, path + verb, named);
    assert.deepEqual([repeated.status, repeated.json], [200, done.json]);
  }
  const bad = await plane.http("PUT", path, { headers: { "portolan-operation-id": "a b" }, body: {} });
  assert.equal(bad.status, 400);
});

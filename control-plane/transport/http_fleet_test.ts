import assert from "node:assert/strict";
import { Follower_Kind } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { ask, fieldsOf, testControlPlane, type TestPlane, until, watching } from "./testing.ts";

/** A follower that has folded the map, and has not said that it routes by it. */
async function following(plane: TestPlane, id: string, kind = Follower_Kind.SIDECAR) {
  const one = watching(plane, { id, kind });
  one.subscribe(1);
  const { part } = await one.next();
  one.received(part);
  const applied = (revision: bigint, refused: { service: string; reason: string }[] = []) => {
    const { epoch } = plane.ports.reading.position();
    one.say({ message: { case: "applied", value: { position: { epoch, revision }, refused } } });
  };
  return { ...one, applied };
}

const ids = (json: { laggards: { follower: { id: string } }[] }) => json.laggards.map(({ follower }) => follower.id);

Deno.test("wait is DONE when everybody who counts routes by the revision", async () => {
  await using plane = await testControlPlane();
  const nobody = await plane.http("GET", "/wait");
  const { revision: newest } = plane.ports.reading.position();
  assert.deepEqual(nobody.json, { verdict: "DONE", laggards: [], unreachable: [], revision: String(newest) });
  const sidecar = await following(plane, "host");
  const sdk = await following(plane, "program", Follower_Kind.SDK);
  const tool = await following(plane, "tool", Follower_Kind.TOOL);
  const { revision } = await plane.register("a");
  const wait = (query: string) => plane.http("GET", `/wait?${query}`);
  const late = await wait(`revision=${revision}`);
  assert.deepEqual([late.json.verdict, ids(late.json)], ["WAITING", ["host", "program"]]);
  const pending = wait(`revision=${revision}&timeout=60s`);
  sidecar.applied(revision, [{ service: "a", reason: "no reason" }]);
  sdk.applied(revision + 5n);
  const refusing = await wait(`revision=${revision}&timeout=0.05s`);
  assert.deepEqual([refusing.json.verdict, ids(refusing.json)], ["WAITING", ["host"]]);
  assert.deepEqual(refusing.json.laggards[0].refused, [{ service: "a", reason: "no reason" }]);
  sidecar.applied(revision);
  const done = await pending;
  assert.deepEqual([done.json.verdict, done.json.laggards, done.json.revision], ["DONE", [], String(revision)]);
  sidecar.call.end();
  const away = await wait("");
  assert.deepEqual([away.json.verdict, ids(away.json)], ["WAITING", ["host"]], "it may still route");
  assert.equal(away.json.laggards[0].connected, false);
  for (const { call } of [sdk, tool]) call.end();
});

Deno.test("wait takes 0 to 600 s, and revisions that are to come", async () => {
  await using plane = await testControlPlane();
  const cases: [query: string, ...fields: string[]][] = [
    ["timeout=601s", "timeout"],
    ["timeout=-1s", "timeout"],
    ["timeout=5", "timeout"],
    ["timeout=", "timeout"],
    ["timeout=1m", "timeout"],
    ["timeout=0.0001s", "timeout"],
    ["revision=x", "revision"],
    ["revision=-1", "revision"],
    ["revision=9223372036854775808", "revision"],
    ["revision=99999999999999999999", "revision"],
    ["revison=1", "revison"],
    ["revision=x&timeout=x", "timeout", "revision"],
  ];
  for (const [query, ...fields] of cases) {
    assert.deepEqual(fieldsOf(await plane.http("GET", `/wait?${query}`)), fields, query);
  }
  const { json } = await plane.http("GET", "/wait?revision=9223372036854775807&timeout=0.010s");
  assert.equal(json.verdict, "WAITING");
  const later = plane.http("GET", `/wait?revision=${plane.ports.reading.position().revision + 1n}&timeout=600s`);
  await plane.register("a");
  assert.equal((await later).json.verdict, "DONE");
});

Deno.test("wait ends with its client", async () => {
  await using plane = await testControlPlane();
  const gone = new AbortController();
  const waiting = fetch(`${plane.url}/wait?revision=1000&timeout=600s`, { signal: gone.signal });
  await until("the request is under way", () => plane.requests.taken === 1);
  gone.abort();
  await assert.rejects(async () => await (await waiting).text());
  await until("nobody waits any more", () => plane.requests.taken === 0);
});

Deno.test("followers are listed by id, and forgotten when they have gone", async () => {
  await using plane = await testControlPlane();
  const b = await following(plane, "b");
  const a = await following(plane, "a");
  const list = async () => (await plane.http("GET", "/followers")).json;
  const { position, followers, unreachable } = await list();
  assert.equal(BigInt(position.revision), plane.ports.reading.position().revision);
  assert.deepEqual(followers.map((one: { follower: { id: string } }) => one.follower.id), ["a", "b"]);
  assert.deepEqual(unreachable, []);
  const forget = (id: string) =>
    plane.http("DELETE", `/followers/${id}`, { headers: { "portolan-reason": "scrapped" } });
  const connected = await forget("a");
  assert.deepEqual([connected.status, connected.json.code], [409, "FAILED_PRECONDITION"]);
  for (const { call, ended } of [a, b]) {
    call.end();
    await ended();
  }
  const { status, json, headers } = await forget("a");
  assert.deepEqual([status, headers.get("portolan-revision")], [200, json.revision]);
  assert.deepEqual((await list()).followers.map((one: { follower: { id: string } }) => one.follower.id), ["b"]);
  assert.equal((await forget("a")).status, 404);
  assert.equal((await ask(`${plane.origin}/api/v1/realms/testing/followers/b`, "DELETE")).status, 404);
  const named = await plane.http("DELETE", "/followers/b", { headers: { "portolan-operation-id": "once" } });
  assert.deepEqual(fieldsOf(named), ["operationId"]);
});

Deno.test("followers refuses a parameter that it does not know before it looks at anybody", async () => {
  await using plane = await testControlPlane();
  plane.ports.fleet.list = () => assert.fail("it was listed");
  assert.deepEqual(fieldsOf(await plane.http("GET", "/followers?realm=x")), ["realm"]);
});

Deno.test("history tells what happened, and is JSON also where nothing did", async () => {
  await using plane = await testControlPlane();
  const history = async (query = "") => (await plane.http("GET", `/history?${query}`)).json.entries;
  assert.deepEqual(await history(), []);
  const headers = { "portolan-reason": "größer", "portolan-operation-id": "op-1" };
  const body = { host: "a", port: 1 };
  const { json: { revision } } = await plane.http("PUT", "/services/a/instances/i1", { headers, body });
  await plane.http("PUT", "/services/b/instances/i1", { body });
  await plane.http("POST", "/services/a:disable");
  await plane.http("DELETE", "/services/a?force=true");
  const [first, ...later] = await history();
  const { time, after, ...entry } = first;
  assert.deepEqual(entry, {
    revision,
    operationId: "op-1",
    identity: "anonymous",
    reason: "größer",
    operation: "register",
  });
  assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000);
  assert.deepEqual([after.name, after.instances.length], ["a", 1]);
  const operations = (entries: { operation: string }[]) => entries.map(({ operation }) => operation);
  assert.deepEqual(operations(later), ["register", "set_enabled", "delete_service"]);
  assert.deepEqual([later[2].before.enabled, later[2].after], [false, undefined]);
  assert.deepEqual(operations(await history("service=b")), ["register"]);
  assert.deepEqual(operations(await history("limit=1")), ["delete_service"]);
  assert.deepEqual(operations(await history("operationId=op-1")), ["register"]);
  assert.deepEqual(operations(await history(`after=${revision}`)), operations(later));
  assert.deepEqual(await history("after=9223372036854775807"), []);
  assert.deepEqual((await ask(`${plane.origin}/api/v1/realms/testing/history`)).json, { entries: [] });
});

Deno.test("history refuses what is no service, revision, operation or limit", async () => {
  await using plane = await testControlPlane();
  const cases: [query: string, ...fields: string[]][] = [
    ["service=A", "service"],
    ["after=x", "after"],
    ["after=9223372036854775808", "after"],
    ["operationId=a%20b", "operationId"],
    ["limit=-1", "limit"],
    ["limit=x", "limit"],
    ["limit=4294967296", "limit"],
    ["before=1", "before"],
  ];
  for (const [query, ...fields] of cases) {
    const { status, ...answer } = await plane.http("GET", `/history?${query}`);
    assert.deepEqual([status, fieldsOf(answer)], [400, fields], query);
  }
});

import assert from "node:assert/strict";
import { Invalid, type Revision } from "../domain/names.ts";
import { parseMoment } from "./http_read.ts";
import { ask, fieldsOf, TestClock, testControlPlane, type TestPlane } from "./testing.ts";

const put = (plane: TestPlane, path: string, port = 1) =>
  plane.http("PUT", `/services/${path}`, { body: { host: "a", port } });

const names = ({ json }: { json: { services: { name: string }[] } }) => json.services.map(({ name }) => name);

Deno.test("reads answer with what there is, and say of which position it is", async () => {
  await using plane = await testControlPlane();
  assert.deepEqual(names(await plane.http("GET", "/map")), [], "a realm that nobody has named is an empty map");
  await put(plane, "b/instances/i1");
  const { json: { revision } } = await put(plane, "a/instances/i1");
  for (const path of ["/map", "/services"]) {
    const answer = await plane.http("GET", path);
    assert.deepEqual(names(answer), ["a", "b"]);
    const { epoch, ...position } = answer.json.position;
    assert.deepEqual(position, { revision });
    assert.equal(answer.headers.get("portolan-position"), `${epoch}.${revision}`);
  }
  const service = await plane.http("GET", "/services/a");
  assert.equal(service.headers.get("portolan-position")?.split(".")[1], revision);
  assert.deepEqual((await plane.http("GET", "/services/a/instances/i1")).json, service.json.instances[0]);
  const head = await plane.http("HEAD", "/services/a");
  assert.deepEqual([head.status, head.text, head.headers.get("etag")], [200, "", service.headers.get("etag")]);
});

Deno.test("minRevision waits for a revision, not for one that never comes", async () => {
  await using plane = await testControlPlane();
  const { json: { revision } } = await put(plane, "a/instances/i1");
  assert.deepEqual(names(await plane.http("GET", `/map?minRevision=${revision}`)), ["a"]);
  const never = await plane.http("GET", `/map?minRevision=${BigInt(revision) + 100n}`);
  assert.deepEqual([never.status, never.json.code], [503, "UNAVAILABLE"]);
});

Deno.test("?at= reads the map as it was at a revision", async () => {
  await using plane = await testControlPlane();
  const first = (await put(plane, "a/instances/i1")).json.revision;
  const second = (await put(plane, "b/instances/i1", 2)).json.revision;
  await plane.http("DELETE", "/services/b?force=true");
  await put(plane, "a/instances/i1", 3);
  const now = await plane.http("GET", "/map");
  const at = (revision: unknown, path = "/map") => plane.http("GET", `${path}?at=${revision}`);
  assert.deepEqual(names(await at(0)), []);
  assert.deepEqual(names(await at(first)), ["a"]);
  const past = await at(second);
  assert.deepEqual(names(past), ["a", "b"]);
  assert.deepEqual(past.json.position, { epoch: now.json.position.epoch, revision: second });
  assert.equal(past.headers.get("portolan-position"), `${now.json.position.epoch}.${second}`);
  assert.equal((await at(second, "/services/b/instances/i1")).json.port, 2);
  assert.equal((await at(first, "/services/b/instances/i1")).status, 404);
  assert.equal((await at(second, "/services/a/instances/i1")).json.port, 1);
  assert.equal((await at(now.json.position.revision)).text, now.text);
  assert.deepEqual(fieldsOf(await at(`${second}&minRevision=${first}`)), ["minRevision"]);
  const ahead = await at(BigInt(now.json.position.revision) + 1n);
  assert.deepEqual([ahead.status, fieldsOf(ahead)], [400, ["at"]]);
});

Deno.test("?at= reads the map as it was at a time", async () => {
  const clock = new TestClock();
  await using plane = await testControlPlane({ clock });
  const time = () => new Date(clock.wall()).toISOString();
  const at = (text: string) => plane.http("GET", `/map?at=${encodeURIComponent(text)}`);
  const before = time();
  clock.pass(60_000);
  await put(plane, "a/instances/i1");
  const first = time();
  clock.pass(60_000);
  const between = time();
  clock.pass(60_000);
  await put(plane, "b/instances/i1");
  assert.deepEqual(names(await at(before)), []);
  assert.deepEqual(names(await at(first)), ["a"]);
  assert.deepEqual(names(await at(between)), ["a"]);
  assert.deepEqual(names(await at(time())), ["a", "b"]);
  assert.deepEqual(names(await at("2099-12-31T23:59:59.999999999+23:59")), ["a", "b"]);
});

Deno.test("the past is gone with 410 once it is forgotten", async () => {
  const clock = new TestClock();
  await using plane = await testControlPlane({ clock });
  const first = (await put(plane, "a/instances/i1")).json.revision;
  const time = new Date(clock.wall()).toISOString();
  clock.pass(60_000);
  const second = (await put(plane, "b/instances/i1")).json.revision;
  await plane.store.forget(BigInt(second) as Revision);
  for (const at of [first, time, "1970-01-01T00:00:00Z"]) {
    const { status, json } = await plane.http("GET", `/map?at=${at}`);
    assert.deepEqual([status, json.code], [410, "OUT_OF_RANGE"], at);
  }
  assert.deepEqual(names(await plane.http("GET", `/map?at=${second}`)), ["a", "b"]);
});

Deno.test("a map that is larger than a reader takes at once is the same", async () => {
  await using plane = await testControlPlane();
  const metadata = { k: "é".repeat(2_000) };
  for (let i = 0; i < 50; i++) {
    await plane.http("PUT", `/services/s${i}/instances/i1`, { body: { host: "a", port: 1, metadata } });
  }
  const { json, text } = await plane.http("GET", "/map");
  assert.ok(text.length > 100_000);
  assert.deepEqual(json.services.length, 50);
  for (const { instances } of json.services) assert.deepEqual(instances[0].metadata, metadata);
});

Deno.test("parseMoment() takes revisions and times of RFC 3339, and nothing like them", () => {
  assert.deepEqual(parseMoment("007"), { revision: 7n });
  const time = Date.UTC(2026, 0, 31, 12);
  for (
    const text of [
      "2026-01-31T12:00:00Z",
      "2026-01-31t12:00:00.000z",
      "2026-01-31T13:30:00+01:30",
      "2026-01-31T12:00:00-00:00",
    ]
  ) assert.deepEqual(parseMoment(text), { time }, text);
  for (
    const text of [
      "",
      "x",
      "-1",
      "1.5",
      "2026-01-31",
      "2026-01-31T12:00:00",
      "2026-01-31 12:00:00Z",
      "2026-13-01T00:00:00Z",
    ]
      .concat(
        "2026-01-31T12:00Z",
        "2026-01-31T25:00:00Z",
        "+02026-01-31T12:00:00Z",
        "1".repeat(20),
        "2026-01-31T12:00:00+0100",
      )
  ) assert.ok(parseMoment(text) instanceof Invalid, text);
});

Deno.test("healthz says that it is alive, readyz whether it is ready", async () => {
  await using plane = await testControlPlane();
  assert.deepEqual((await ask(`${plane.origin}/healthz`)).json, { status: "alive" });
  const ready = await ask(`${plane.origin}/readyz`);
  assert.deepEqual([ready.status, ready.json], [200, { ready: true, reasons: [] }]);
});

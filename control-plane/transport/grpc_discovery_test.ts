import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Revision } from "../domain/names.ts";
import type { GetMapRequestSchema, Part } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { refusalOf, TestClock, testControlPlane, type TestPlane } from "./testing.ts";

const SCOPE = { scope: { realm: "local" } };

async function read({ discovery }: TestPlane, request: MessageInitShape<typeof GetMapRequestSchema>) {
  const parts: Part[] = [];
  for await (const { part } of discovery.getMap(request)) parts.push(part!);
  return { parts, names: parts.flatMap(({ set }) => set.map(({ name }) => name)) };
}

Deno.test("GetMap sends the map at one position, not before the one asked for", async () => {
  await using plane = await testControlPlane();
  const { revision } = await plane.register("a");
  await plane.register("b");
  const { parts, names } = await read(plane, { ...SCOPE, minRevision: revision });
  assert.deepEqual([names, parts.map(({ last, complete }) => [last, complete])], [["a", "b"], [[true, true]]]);
  assert.ok(parts[0]!.position!.revision >= revision);
  assert.deepEqual((await read(plane, { scope: { realm: "local", services: ["b", "nowhere"] } })).names, ["b"]);
  const never = await refusalOf(read(plane, { ...SCOPE, minRevision: revision + 100n }));
  assert.equal(never.code, "UNAVAILABLE");
});

Deno.test("GetMap sends a large map in parts that hold it all", async () => {
  await using plane = await testControlPlane();
  const metadata = { k: "v".repeat(4_000) };
  const ids = Array.from({ length: 200 }, (_, i) => `i${i}`);
  for (const service of ["a", "b"]) {
    await Promise.all(
      ids.map((id) =>
        plane.registry.register({ realm: "local", service, id, instance: { host: "a", port: 1, metadata } })
      ),
    );
  }
  const { parts, names } = await read(plane, SCOPE);
  assert.deepEqual(names, ["a", "b"]);
  assert.deepEqual(parts.map(({ last }) => last), [false, true]);
  assert.deepEqual(parts[0]!.position, parts[1]!.position);
});

Deno.test("GetMap reads the map as it was at a revision or a time, until that is forgotten", async () => {
  const clock = new TestClock();
  await using plane = await testControlPlane({ clock });
  const { revision } = await plane.register("a");
  const time = timestampFromMs(clock.wall());
  clock.pass(1_000);
  const { revision: newest } = await plane.register("b");
  for (const at of [{ atRevision: revision }, { atTime: time }]) {
    const { parts, names } = await read(plane, { ...SCOPE, ...at });
    assert.deepEqual([names, parts[0]!.position!.revision], [["a"], revision]);
  }
  await plane.store.forget(newest as Revision);
  for (const at of [{ atRevision: revision }, { atTime: time }, { atTime: timestampFromMs(-1) }]) {
    assert.equal((await refusalOf(read(plane, { ...SCOPE, ...at }))).code, "OUT_OF_RANGE");
  }
  assert.deepEqual((await read(plane, { ...SCOPE, atRevision: newest })).names, ["a", "b"]);
});

Deno.test("GetMap refuses moments that are none, or two at once", async () => {
  await using plane = await testControlPlane();
  const { revision } = await plane.register("a");
  const at = (seconds: bigint, nanos = 0) => ({ atTime: { seconds, nanos } });
  type Moment = { atRevision?: bigint; minRevision?: bigint; atTime?: { seconds: bigint; nanos: number } };
  const cases: [Moment, ...fields: string[]][] = [
    [{ atRevision: revision + 1n }, "atRevision"],
    [{ atRevision: 2n ** 63n }, "atRevision"],
    [{ atRevision: revision, ...at(1n) }, "atTime"],
    [{ atRevision: revision, minRevision: revision }, "minRevision"],
    [{ minRevision: revision, ...at(1n) }, "minRevision"],
    [at(2n ** 62n), "atTime"],
    [at(-(2n ** 62n)), "atTime"],
  ];
  for (const [request, ...fields] of cases) {
    const { code, ...refusal } = await refusalOf(read(plane, { ...request, ...SCOPE }));
    assert.deepEqual([code, refusal.fields], ["INVALID_ARGUMENT", fields], refusal.details);
  }
});

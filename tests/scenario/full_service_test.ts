import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { PutAliasRequestSchema, RegisterRequestSchema } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { startedControlPlane } from "./control_plane.ts";
import { type RawClient, rawClient } from "./raw_grpc.ts";

const REGISTER = "/portolan.v1.RegistryService/Register";
const PUT_ALIAS = "/portolan.v1.RegistryService/PutAlias";
const AT = { realm: "local", service: "full" };

/** Registers instances until one is refused, at most `most`; answers with how many were taken. */
async function fill(client: RawClient, most: number, metadata: Record<string, string>): Promise<number> {
  let taken = 0;
  // Many at a time, so that it does not take the time of as many round trips.
  for (let from = 0; from < most && taken === from; from += 100) {
    const codes = await Promise.all(Array.from({ length: Math.min(100, most - from) }, async (_, i) => {
      const instance = { host: "127.0.0.1", port: 1, metadata };
      const request = create(RegisterRequestSchema, { ...AT, id: `i${from + i}`, instance });
      return (await client.call(REGISTER, toBinary(RegisterRequestSchema, request))).code;
    }));
    taken += codes.filter((code) => code === "OK").length;
  }
  return taken;
}

/** One more instance is refused on either transport, for the same field, and changes nothing. */
async function refusesAnother(
  plane: Awaited<ReturnType<typeof startedControlPlane>>,
  client: RawClient,
  field: string,
  metadata: Record<string, string>,
): Promise<void> {
  const before = await plane.map();
  const instance = { host: "127.0.0.1", port: 1, metadata };
  const url = `${plane.http}/api/v1/realms/local/services/full/instances/more`;
  const response = await fetch(url, { method: "PUT", body: JSON.stringify(instance) });
  const { code, violations } = await response.json();
  assert.deepEqual([response.status, code, violations[0].field], [413, "RESOURCE_EXHAUSTED", field]);
  const request = create(RegisterRequestSchema, { ...AT, id: "more", instance });
  const ended = await client.call(REGISTER, toBinary(RegisterRequestSchema, request));
  assert.deepEqual([ended.code, ended.fields], ["RESOURCE_EXHAUSTED", [field]]);
  assert.equal(await plane.map(), before);
}

Deno.test("a service takes 5000 instances and no more", async () => {
  await using plane = await startedControlPlane();
  using client = rawClient(plane.grpc);
  assert.equal(await fill(client, 5_001, {}), 5_000);
  await refusesAnother(plane, client, "instances", {});
});

Deno.test("a service takes 1 MiB and no more", async () => {
  await using plane = await startedControlPlane();
  using client = rawClient(plane.grpc);
  const metadata = { k: "v".repeat(4_000) };
  const taken = await fill(client, 300, metadata);
  assert.ok(taken > 240 && taken < 262, `${taken} instances of 4 KiB`);
  await refusesAnother(plane, client, "metadata", metadata);
});

Deno.test("an alias takes a split among 100 versions and no more", async () => {
  await using plane = await startedControlPlane();
  using client = rawClient(plane.grpc);
  const put = async (count: number) => {
    const split = Array.from({ length: count }, (_, i) => ({ version: i + 1, share: i === 0 ? 10_000 : 0 }));
    const request = create(PutAliasRequestSchema, { ...AT, alias: "live", route: { split } });
    return await client.call(PUT_ALIAS, toBinary(PutAliasRequestSchema, request));
  };
  assert.equal((await put(100)).code, "OK");
  const before = await plane.map();
  for (const count of [101, 90_000]) {
    const { code, details, fields } = await put(count);
    assert.deepEqual([code, fields], ["INVALID_ARGUMENT", ["split"]], details);
    assert.match(details, /at most 100 versions/);
  }
  assert.equal(await plane.map(), before);
});

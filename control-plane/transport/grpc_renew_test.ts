import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { status, type StatusObject } from "@grpc/grpc-js";
import { Instance_Status } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { RenewRequestSchema, type RenewResponse } from "../../proto/gen/portolan/v1/registry_pb.ts";
import type { Ports, Standing } from "./ports.ts";
import { renewHandler } from "./grpc_renew.ts";
import { refusalOf, testControlPlane, type TestPlane, testPorts, until } from "./testing.ts";

const { PASSING, FAILING } = Instance_Status;

/** Registers an instance that stays for 15 s without a beat; answers with its lease. */
async function leased({ registry }: TestPlane, service: string, id: string, leaseId = "") {
  const instance = { host: "a", port: 1, ttl: durationFromMs(15_000) };
  return (await registry.register({ realm: "local", service, id, leaseId, instance })).leaseId;
}

function renewal(plane: TestPlane) {
  const call = plane.registry.renew();
  const answers = call[Symbol.asyncIterator]() as AsyncIterator<RenewResponse>;
  return {
    call,
    async beat(leaseId: string, statuses: [service: string, id: string, status: Instance_Status][] = []) {
      call.write({
        leaseId,
        statuses: statuses.map(([service, id, status]) => ({ realm: "local", service, id, status })),
      });
      const { value } = await answers.next();
      assert.equal(value.epoch, plane.ports.reading.position().epoch);
      return [value.leaseId, value.alive];
    },
    ended: async () => assert.ok((await answers.next()).done),
  };
}

const statusOf = async (plane: TestPlane, path: string) => (await plane.http("GET", path)).json.status;

Deno.test("Renew answers for several leases on one stream, dead ones among them", async () => {
  await using plane = await testControlPlane();
  const a = await leased(plane, "a", "i1");
  const b = await leased(plane, "b", "i1");
  assert.notEqual(a, b);
  assert.equal(await leased(plane, "b", "i2", a), a, "it joins the lease that it names");
  const { beat, call, ended } = renewal(plane);
  assert.deepEqual(await beat(a), [a, true]);
  assert.deepEqual(await beat(b), [b, true]);
  assert.deepEqual(await beat("nobody"), ["nobody", false]);
  await plane.registry.deregister({ realm: "local", service: "b", id: "i1" });
  assert.deepEqual(await beat(b), [b, false]);
  assert.deepEqual(await beat(a), [a, true]);
  call.end();
  await ended();
});

Deno.test("Renew writes what the holder observes of its own before it answers, and of nobody else's", async () => {
  await using plane = await testControlPlane();
  const mine = await leased(plane, "a", "i1");
  await leased(plane, "a", "i2");
  const { beat, call } = renewal(plane);
  await beat(mine, [["a", "i1", PASSING], ["a", "i2", FAILING], ["nowhere", "i1", FAILING], ["a", "i3", FAILING]]);
  assert.equal(await statusOf(plane, "/services/a/instances/i1"), "PASSING");
  assert.equal(await statusOf(plane, "/services/a/instances/i2"), "UNKNOWN");
  const before = plane.ports.reading.position();
  await beat(mine, [["a", "i1", PASSING]]);
  assert.deepEqual(plane.ports.reading.position(), before, "nothing is written where nothing changes");
  await beat(mine, [["a", "i1", PASSING], ["a", "i1", FAILING]]);
  assert.equal(await statusOf(plane, "/services/a/instances/i1"), "FAILING");
  await beat("nobody", [["a", "i1", PASSING]]);
  assert.equal(await statusOf(plane, "/services/a/instances/i1"), "FAILING");
  call.end();
});

/** The server's end of a stream, without a client: those of this library drop answers that come just before a refusal. */
function heard(ports: Ports, streams = new Set<Standing>()) {
  const answers: { alive: boolean }[] = [];
  const call = Object.assign(new EventEmitter(), {
    cancelled: false,
    write: (answer: { alive: boolean }) => void answers.push(answer),
  });
  const failed = once(call, "error") as Promise<[StatusObject]>;
  renewHandler(ports, streams)(call as unknown as Parameters<ReturnType<typeof renewHandler>>[0]);
  const status = { realm: "local", service: "a", id: "i1", status: PASSING };
  return {
    answers,
    failed,
    beat: (leaseId: string, statuses = 0) =>
      call.emit("data", create(RenewRequestSchema, { leaseId, statuses: Array(statuses).fill(status) })),
  };
}

Deno.test("Renew ends with what is wrong with a beat, after it has answered those before it", async () => {
  await using parts = await testPorts();
  const { answers, failed, beat } = heard(parts.ports);
  for (const leaseId of ["a", "b", "", "c"]) beat(leaseId);
  const [{ code, details }] = await failed;
  assert.equal(code, status.INVALID_ARGUMENT);
  assert.match(details, /^leaseId: /);
  assert.equal(answers.length, 2);
});

Deno.test("Renew ends where more beats wait than anybody who waits for answers would send", async () => {
  await using parts = await testPorts();
  const streams = new Set<Standing>();
  const { failed, beat } = heard(parts.ports, streams);
  for (let i = 0; i < 1_000; i++) beat("a");
  assert.equal(streams.size, 1);
  beat("a");
  assert.equal((await failed)[0].code, status.RESOURCE_EXHAUSTED);
  assert.equal(streams.size, 0);
});

Deno.test("Renew ends where more statuses wait than a host can have, however few beats they came with", async () => {
  await using parts = await testPorts();
  const many = heard(parts.ports);
  many.beat("a", 10_000);
  many.beat("a", 1);
  assert.deepEqual([(await many.failed)[0].code, many.answers], [status.RESOURCE_EXHAUSTED, []]);
  const patient = heard(parts.ports);
  for (let i = 1; i <= 3; i++) {
    patient.beat("a", 10_000);
    await until("the beat is answered", () => patient.answers.length === i);
  }
  patient.beat("a", 10_001);
  const [{ code, details }] = await patient.failed;
  assert.deepEqual([code, details], [status.INVALID_ARGUMENT, "statuses: expected at most 10000"]);
});

Deno.test("Renew keeps nothing of what comes after a beat that it refuses", async () => {
  await using parts = await testPorts();
  const { failed, beat } = heard(parts.ports);
  beat("");
  for (let i = 0; i < 2_000; i++) beat("a");
  assert.equal((await failed)[0].code, status.INVALID_ARGUMENT);
});

Deno.test("a registration joins a lease that stands and has its ttl, and no other", async () => {
  await using plane = await testControlPlane();
  const lease = await leased(plane, "a", "i1");
  const join = (leaseId: string, ms: number) => {
    const instance = { host: "a", port: 1, ttl: durationFromMs(ms) };
    return refusalOf(plane.registry.register({ realm: "local", service: "a", id: "i2", leaseId, instance }));
  };
  const other = await join(lease, 14_000);
  assert.deepEqual([other.code, other.fields], ["INVALID_ARGUMENT", ["ttl"]]);
  assert.equal((await join("nobody", 15_000)).code, "NOT_FOUND");
  assert.equal(await leased(plane, "a", "i1"), lease, "who holds an instance alone gets the same lease again");
  assert.equal(await leased(plane, "a", "i2", lease), lease);
});

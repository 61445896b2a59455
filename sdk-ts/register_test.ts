import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import type { DeregisterRequest, RegisterRequest } from "../proto/gen/portolan/v1/registry_pb.ts";
import { REAL } from "./ports.ts";
import { register, type RegisterOptions } from "./register.ts";
import { serveFake } from "./testing/control_plane.ts";

const INSTANCE = { host: "127.0.0.1", port: 8080, version: 2, metadata: { team: "a" } };
const options = (...controlPlanes: string[]): RegisterOptions => ({
  controlPlanes,
  realm: "local",
  service: "identity",
  id: "i1",
  instance: INSTANCE,
  reason: "it starts",
});

Deno.test("register() says what the instance is, and deregisters once when it is disposed", async () => {
  const registered: RegisterRequest[] = [];
  const deregistered: DeregisterRequest[] = [];
  await using server = await serveFake({
    register: (request) => (registered.push(request), { revision: 7n }),
    deregister: (request) => (deregistered.push(request), { revision: 8n }),
  });
  const registration = await register(options(server.address));
  assert.equal(registration.revision, 7n);
  assert.equal(deregistered.length, 0);
  await registration[Symbol.asyncDispose]();
  await registration[Symbol.asyncDispose]();

  const [request] = registered;
  assert.deepEqual([request?.realm, request?.service, request?.id], ["local", "identity", "i1"]);
  const { host, port, version, weight, metadata, ttl } = request?.instance ?? {};
  assert.deepEqual([host, port, version, weight, metadata, ttl], [
    "127.0.0.1",
    8080,
    2,
    undefined,
    { team: "a" },
    undefined,
  ]);
  assert.equal(request?.options?.reason, "it starts");
  assert.deepEqual(deregistered.map(({ realm, service, id }) => [realm, service, id]), [["local", "identity", "i1"]]);
});

Deno.test("register() tries again, at the next address, until somebody answers", async () => {
  const answers = [{ code: status.UNAVAILABLE, details: "no store" }, { code: status.INTERNAL, details: "reset" }];
  await using busy = await serveFake({ register: () => answers.shift() ?? { revision: 3n }, deregister: gone });
  const absent = await serveFake({});
  await absent[Symbol.asyncDispose]();
  const naps: number[] = [];
  const sleep = (ms: number) => (naps.push(ms), Promise.resolve());
  await using registration = await register(options(absent.address, busy.address), { ...REAL, random: () => 0, sleep });
  assert.equal(registration.revision, 3n);
  assert.deepEqual(naps, [50, 100, 200, 400, 800]);
});

const gone = () => ({ code: status.NOT_FOUND, details: "no such instance" });

Deno.test("register() throws what is refused, and stops when it is told to", async () => {
  await using server = await serveFake({
    register: () => ({ code: status.INVALID_ARGUMENT, details: "Cannot use port 0" }),
  });
  await assert.rejects(register(options(server.address)), {
    message: 'Cannot register "identity/i1": Cannot use port 0',
  });
  const stop = new AbortController();
  const trying = register({ ...options("127.0.0.1:9"), signal: stop.signal }, {
    ...REAL,
    sleep: () => (stop.abort(), Promise.resolve()),
  });
  await assert.rejects(trying, /given up before a control plane answered/);
  await assert.rejects(register(options()), /no control plane is named/);
  for (const ttlMs of [0, -1, NaN, Infinity]) {
    const { instance, ...rest } = options("127.0.0.1:9");
    const leased = { ...rest, instance: { ...instance, ttlMs } };
    await assert.rejects(register(leased), new RegExp(`with ttlMs ${ttlMs}: expected 1 s to 24 h, in ms`));
  }
});

Deno.test("register() takes back an attempt that it was told to give up", async () => {
  const stop = new AbortController();
  let deregistered = 0;
  await using server = await serveFake({
    // The control plane has done it; its answer does not matter any more.
    register: () => (stop.abort(), { revision: 1n }),
    deregister: () => (deregistered++, { revision: 2n }),
  });
  await assert.rejects(register({ ...options(server.address), signal: stop.signal }), /given up/);
  assert.equal(deregistered, 1);
});

Deno.test("a registration that is gone already is deregistered; one that cannot be is an error", async () => {
  const answers = [gone(), { code: status.PERMISSION_DENIED, details: "not yours" }];
  await using server = await serveFake({
    register: () => ({ revision: 1n }),
    deregister: () => answers.shift() ?? gone(),
  });
  await (await register(options(server.address)))[Symbol.asyncDispose]();
  const registration = await register(options(server.address));
  await assert.rejects(
    async () => await registration[Symbol.asyncDispose](),
    /Cannot deregister "identity\/i1": not yours/,
  );
});

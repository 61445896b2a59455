import assert from "node:assert/strict";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { type Service, ServiceSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { DeregisterRequest, DrainRequest, RegisterRequest } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { type Fields, type Log, SILENT } from "../../proto/log.ts";
import { hear, Plane } from "../../sdk-ts/testing/plane.ts";
import { onceLog } from "./once_log.ts";
import { Registrar, type RegistrarOptions } from "./registrar.ts";

const FILE = { service: "identity", port: 1, check: { interval: "1h" }, drainTime: "0s" };

Deno.test("what may come to be on the map is noted before it is", async () => {
  await using folders = await temporaryFolders();
  const noted: boolean[] = [];
  await using plane = await Plane.serve({
    register: ({ id, leaseId }: RegisterRequest) => {
      noted.push(folders.ledger().includes(`"${id}.json"`));
      return { revision: 1n, leaseId: leaseId || plane.open() };
    },
  });
  // Nothing comes of checks, which would be noted too.
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const file = { ...FILE, port: silent.addr.port, check: { kind: "HTTP", interval: "1h" } };
  folders.write({ "a.json": file, "b.json": file });
  await using registrar = await start(plane, folders);
  await until(() => registrar.instances.filter(({ registered }) => registered).length === 2);
  assert.deepEqual(noted, [true, true]);
  await until(() => folders.ledger().includes('"leaseId":"l1"'));
});

Deno.test("what no file says any more is not put back before it is taken off, whatever became of its lease", async () => {
  await using folders = await temporaryFolders();
  const asked: string[] = [];
  const gone = { code: status.NOT_FOUND, details: "it is gone" };
  await using plane = await Plane.serve({
    register: ({ id, leaseId }: RegisterRequest) => {
      asked.push(`register ${id} ${leaseId}`);
      return leaseId === "old" ? gone : { revision: 1n, leaseId: leaseId || plane.open() };
    },
    drain: ({ id }: DrainRequest) => (asked.push(`drain ${id}`), gone),
    deregister: ({ id }: DeregisterRequest) => (asked.push(`deregister ${id}`), gone),
  });
  const instances = ["a", "b"].map((id) => ({ name: `${id}.json`, text: JSON.stringify(FILE), said: "{}" }));
  const ledger = { format: 1, realm: "local", leaseId: "old", instances };
  Deno.writeTextFileSync(join(folders.data, "lease.json"), JSON.stringify(ledger));
  folders.write({ "b.json": FILE, "c.json": FILE });
  await using registrar = await start(plane, folders);
  await until(() => registrar.instances.length === 2 && registrar.instances.every(({ registered }) => registered));
  assert.deepEqual(asked.filter((one) => / a(?: |$)/.test(one)), ["drain a", "deregister a"]);
  await until(() => !folders.ledger().includes("a.json"));
});

Deno.test("only what was said after us makes an instance another host's", async () => {
  await using folders = await temporaryFolders();
  let service: Service | undefined;
  const rival = (modified: bigint) => {
    const instances = [{ id: "a", host: "127.0.0.9", port: 9, hostId: "h9", modified }];
    service = create(ServiceSchema, { name: "identity", instances });
  };
  await using plane = await Plane.serve({
    register: ({ leaseId }: RegisterRequest) => ({ revision: 5n, leaseId: leaseId || plane.open() }),
  });
  folders.write({ "a.json": FILE });
  await using registrar = await start(plane, folders, { serviceOf: () => service });
  await until(() => registrar.instances[0]?.registered === true);
  // The map that is followed may be behind.
  rival(4n);
  folders.write({ "b.json": FILE });
  await until(() => registrar.instances.length === 2);
  assert.deepEqual(registrar.problems, []);
  rival(6n);
  await until(() => registrar.problems.length === 1);
  assert.equal(registrar.instances[0]?.registered, false);
});

Deno.test("nothing is registered before it can be known who has it, or not to be known soon", async () => {
  await using folders = await temporaryFolders();
  let isMapKnown = false;
  let asked = 0;
  await using plane = await Plane.serve();
  folders.write({ "a.json": FILE });
  await using registrar = await start(plane, folders, { isMapKnown: () => (asked++, isMapKnown) });
  await until(() => asked > 5);
  assert.deepEqual([registrar.instances[0]?.registered, plane.registered], [false, []]);
  isMapKnown = true;
  await until(() => registrar.instances[0]?.registered === true);
});

Deno.test("a control plane that is away keeps nothing from being checked, and is told the state when it is back", async () => {
  await using folders = await temporaryFolders();
  let away = true;
  await using plane = await Plane.serve({
    register: ({ leaseId }: RegisterRequest) =>
      away ? { code: status.UNAVAILABLE, details: "no store" } : { revision: 1n, leaseId: leaseId || plane.open() },
  });
  folders.write({ "a.json": FILE });
  await using registrar = await start(plane, folders);
  await until(() => registrar.instances[0]?.status === "failing");
  await until(() => registrar.instances[0]?.lastError === "no store");
  away = false;
  const { statuses } = await hear(await plane.stream());
  assert.deepEqual(statuses.map(({ id }) => id), ["a"]);
});

Deno.test("a warning stands once in the log, until something goes well or another reason comes", () => {
  const lines: string[] = [];
  const add = (message: string, fields?: Fields) => lines.push(`${message} ${fields?.["reason"] ?? ""}`.trim());
  const log: Log = onceLog({ info: add, warn: add, error: add });
  for (const reason of ["x", "x", "y", "x"]) log.warn("no", { reason });
  log.warn("other", { reason: "x" });
  log.info("yes");
  log.warn("no", { reason: "x" });
  for (let times = 0; times < 2; times++) log.error("worse", { reason: "x" });
  assert.deepEqual(lines, ["no x", "no y", "no x", "other x", "yes", "no x", "worse x", "worse x"]);
});

type Folders = Awaited<ReturnType<typeof temporaryFolders>>;

function start(plane: Plane, { services, data }: Folders, more: Partial<RegistrarOptions> = {}): Promise<Registrar> {
  return Registrar.start({
    servicesDir: services,
    dataFolder: data,
    realm: "local",
    controlPlanes: [plane.address],
    home: { hostId: "h1", advertise: "127.0.0.1" },
    serviceOf: () => undefined,
    isMapKnown: () => true,
    leavesForGood: false,
    log: SILENT,
    ...more,
  });
}

async function temporaryFolders() {
  const path = await Deno.makeTempDir({ prefix: "registrar-" });
  const [services, data] = [join(path, "services"), join(path, "data")];
  for (const folder of [services, data]) Deno.mkdirSync(folder);
  return {
    services,
    data,
    write(files: Readonly<Record<string, object>>) {
      for (const [name, said] of Object.entries(files)) {
        Deno.writeTextFileSync(join(services, name), JSON.stringify(said));
      }
    },
    ledger: () => [...Deno.readDirSync(data)].map(({ name }) => Deno.readTextFileSync(join(data, name))).join(),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/** What nobody tells of. */
async function until(holds: () => boolean): Promise<void> {
  for (const begun = performance.now(); !holds();) {
    assert.ok(performance.now() - begun < 10_000, `For 10 s it did not come to this: ${holds}`);
    await new Promise((done) => setTimeout(done, 5));
  }
}

import { create, type DescMessage, fromJson, type JsonValue, type Message, toBinary } from "@bufbuild/protobuf";
import assert from "node:assert/strict";
import { RouteSchema, ServiceSpecSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { GetMapRequestSchema } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import {
  ForgetFollowerRequestSchema,
  HistoryRequestSchema,
  ListFollowersRequestSchema,
  WaitForRevisionRequestSchema,
} from "../../proto/gen/portolan/v1/fleet_pb.ts";
import * as pb from "../../proto/gen/portolan/v1/registry_pb.ts";
import { BAD_NAMES, BAD_WRITES, GOOD_WRITES, NAMED, type Operation, OPERATIONS } from "./bad_writes.ts";
import { type Write, write } from "./bad_writes.ts";
import { each, type StartedControlPlane, startedControlPlane } from "./control_plane.ts";
import { type Ended, type RawClient, rawClient } from "./raw_grpc.ts";

const REGISTRY = "/portolan.v1.RegistryService";
const PATHS: Record<Operation, string> = {
  register: `${REGISTRY}/Register`,
  deregister: `${REGISTRY}/Deregister`,
  disable: `${REGISTRY}/SetEnabled`,
  drain: `${REGISTRY}/Drain`,
  disable_host: `${REGISTRY}/SetEnabled`,
  drain_host: `${REGISTRY}/Drain`,
  alias: `${REGISTRY}/PutAlias`,
  unalias: `${REGISTRY}/DeleteAlias`,
  service: `${REGISTRY}/PutService`,
  delete: `${REGISTRY}/DeleteService`,
};
const FLEET = "/portolan.v1.FleetService";
const GET_MAP = "/portolan.v1.DiscoveryService/GetMap";
const WATCH = "/portolan.v1.DiscoveryService/Watch";
const LIST_FOLLOWERS = `${FLEET}/ListFollowers`;
const ALL_PATHS = [
  ...new Set(Object.values(PATHS)),
  ...["Renew", "ReleaseHeld", "Import"].map((method) => `${REGISTRY}/${method}`),
  GET_MAP,
  WATCH,
  ...["ListFollowers", "ForgetFollower", "WaitForRevision", "History"].map((method) => `${FLEET}/${method}`),
];

/** A write as a message of the contract, beside its schema. */
function messageOf(wanted: Write): [DescMessage, Message] {
  const { operation, realm, service, id = "", hostId, alias, body, reason = "", operationId = "" } = wanted;
  const options = { reason, operationId };
  const target = { realm, service, options };
  const json = body as JsonValue;
  switch (operation) {
    case "register": {
      const instance = fromJson(pb.InstanceSpecSchema, json);
      return [pb.RegisterRequestSchema, create(pb.RegisterRequestSchema, { ...target, id, instance })];
    }
    case "deregister":
      return [pb.DeregisterRequestSchema, create(pb.DeregisterRequestSchema, { ...target, id })];
    case "disable":
      return [pb.SetEnabledRequestSchema, create(pb.SetEnabledRequestSchema, { ...target, id })];
    case "drain":
      return [pb.DrainRequestSchema, create(pb.DrainRequestSchema, { ...target, id })];
    case "disable_host":
      return [pb.SetEnabledRequestSchema, create(pb.SetEnabledRequestSchema, { realm, hostId, options })];
    case "drain_host":
      return [pb.DrainRequestSchema, create(pb.DrainRequestSchema, { realm, hostId, options })];
    case "alias": {
      const route = fromJson(RouteSchema, json);
      return [pb.PutAliasRequestSchema, create(pb.PutAliasRequestSchema, { ...target, alias, route })];
    }
    case "unalias":
      return [pb.DeleteAliasRequestSchema, create(pb.DeleteAliasRequestSchema, { ...target, alias })];
    case "service": {
      const spec = fromJson(ServiceSpecSchema, json);
      return [pb.PutServiceRequestSchema, create(pb.PutServiceRequestSchema, { ...target, spec })];
    }
    case "delete":
      return [pb.DeleteServiceRequestSchema, create(pb.DeleteServiceRequestSchema, target)];
  }
}

const bytesOf = (wanted: Write) => toBinary(...messageOf(wanted));

/** A control plane that has something to lose, and a client of it. */
async function planeWithService() {
  await using stack = new AsyncDisposableStack();
  const plane = stack.use(await startedControlPlane());
  const client = stack.use(rawClient(plane.grpc));
  const onHost = { host: "127.0.0.1", port: 8080, hostId: "h1" };
  for (const wanted of [write("register", { body: onHost }), write("alias", { alias: "canary" })]) {
    assert.equal((await client.call(PATHS[wanted.operation], bytesOf(wanted))).code, "OK");
  }
  const running = stack.move();
  return { plane, client, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

interface Refused {
  readonly name: string;
  readonly path: string;
  readonly messages: readonly Uint8Array[];
  readonly code: string;
  readonly fields: readonly string[];
}

/** The call ends with this status, its details name these fields, and nothing was written. */
async function refuses(plane: StartedControlPlane, client: RawClient, wanted: Refused): Promise<Ended> {
  const { name, path, messages, code, fields } = wanted;
  const before = await plane.map();
  const ended = await client.call(path, ...messages);
  assert.deepEqual([ended.code, ended.fields], [code, fields], `${name}: ${ended.code}: ${ended.details}`);
  assert.notEqual(ended.details, "", name);
  assert.equal(await plane.map(), before, `${name}: something was written`);
  return ended;
}

Deno.test("gRPC refuses every bad name, number, route and size, naming the field", async () => {
  await using running = await planeWithService();
  const { plane, client } = running;
  await each(BAD_WRITES, async (bad) => {
    const { name, code, fields } = bad;
    await refuses(plane, client, { name, path: PATHS[bad.operation], messages: [bytesOf(bad)], code, fields });
  });
});

Deno.test("gRPC refuses names that are empty or no segment of a path", async () => {
  await using running = await planeWithService();
  const { plane, client } = running;
  const cases = OPERATIONS.flatMap((operation) =>
    ["", ".", ".."].flatMap((name) =>
      (["realm", ...NAMED[operation]] as const).flatMap((field): [Write, string][] => {
        // With no id the service itself is meant, with no host a service.
        if (name === "" && field === "id" && ["disable", "drain"].includes(operation)) return [];
        return [[write(operation, { [field]: name }), name === "" && field === "hostId" ? "service" : field]];
      })
    )
  );
  await each(cases, async ([wanted, field]) => {
    const path = PATHS[wanted.operation];
    const name = JSON.stringify(wanted);
    await refuses(plane, client, {
      name,
      path,
      messages: [bytesOf(wanted)],
      code: "INVALID_ARGUMENT",
      fields: [field],
    });
  });
});

Deno.test("gRPC accepts what is just within the bounds", async () => {
  await using plane = await startedControlPlane();
  using client = rawClient(plane.grpc);
  for (const wanted of GOOD_WRITES) {
    const before = await plane.map();
    const { code, details } = await client.call(PATHS[wanted.operation], bytesOf(wanted));
    assert.equal(code, "OK", `${JSON.stringify(wanted).slice(0, 200)}: ${details}`);
    assert.notEqual(await plane.map(), before);
  }
});

Deno.test("gRPC refuses bytes that are no message, on every method", async () => {
  await using running = await planeWithService();
  const { plane, client } = running;
  const broken: [string, number[]][] = [
    ["a cut tag", [0x80]],
    ["a length beyond the end", [0x0a, 0x7f, 0x61]],
    ["a field without its value", [0x0a]],
    ["field number 0", [0x02, 0x00]],
    ["a wire type that does not exist", [0x0f]],
    ["the end of a group that never began", [0x0c]],
    ["a varint without an end", [0x08, ...new Array(11).fill(0xff)]],
    ["a group within a group, and so on", new Array(1_000).fill(0x0b)],
  ];
  const cases = ALL_PATHS.flatMap((path) => broken.map(([name, bytes]) => ({ name: `${path}: ${name}`, path, bytes })));
  await each(cases, async ({ name, path, bytes }) => {
    const messages = [Uint8Array.from(bytes)];
    await refuses(plane, client, { name, path, messages, code: "INVALID_ARGUMENT", fields: [] });
  });
});

Deno.test("gRPC refuses text that is no UTF-8, wherever it stands", async () => {
  await using running = await planeWithService();
  const { plane, client } = running;
  // Each holds the marker once; its bytes are put in the place of it.
  const marker = "~~~~";
  const marked: Write[] = [
    ...(["realm", "service", "id"] as const).map((field) => write("register", { [field]: marker })),
    ...OPERATIONS.map((operation) => write(operation, { operationId: marker })),
    write("drain_host", { hostId: marker }),
    write("service", { body: { check: { kind: "HTTP", path: marker } } }),
    ...["host", "zone", "hostId"].map((field) => write("register", { body: { host: "a", port: 1, [field]: marker } })),
    write("register", { body: { host: "a", port: 1, metadata: { [marker]: "v" } } }),
    write("register", { body: { host: "a", port: 1, metadata: { k: marker } } }),
    write("register", { reason: marker }),
    write("alias", { alias: marker }),
    write("alias", { body: { split: [], stickyHeader: marker } }),
  ];
  const cases = marked.flatMap((wanted) =>
    [[0x80, 0x80, 0x80, 0x80], [0xed, 0xa0, 0x80, 0x61], [0xf4, 0x90, 0x80, 0x80], [0x61, 0x61, 0xc0, 0xaf]].map((
      bytes,
    ) => ({
      wanted,
      bytes,
    }))
  );
  await each(cases, async ({ wanted, bytes }) => {
    const message = Buffer.from(bytesOf(wanted));
    message.set(bytes, message.indexOf(marker));
    const name = `${JSON.stringify(wanted)} with ${bytes}`;
    const path = PATHS[wanted.operation];
    await refuses(plane, client, { name, path, messages: [message], code: "INVALID_ARGUMENT", fields: [] });
  });
});

/** A request of each of the other methods, which would be served. */
const OTHERS: readonly (readonly [path: string, schema: DescMessage, message: object])[] = [
  [`${REGISTRY}/Renew`, pb.RenewRequestSchema, { leaseId: "L" }],
  [`${REGISTRY}/ReleaseHeld`, pb.ReleaseHeldRequestSchema, { realm: "local" }],
  [`${REGISTRY}/Import`, pb.ImportRequestSchema, { realm: "local", force: true }],
  [`${FLEET}/ForgetFollower`, ForgetFollowerRequestSchema, { realm: "local", id: "a" }],
  [`${FLEET}/WaitForRevision`, WaitForRevisionRequestSchema, { realm: "local" }],
  [`${FLEET}/History`, HistoryRequestSchema, { realm: "local" }],
];

/** A field of a later contract. */
const LATER = [{ no: 99, wireType: 0, data: Uint8Array.of(1) }];

/** The message at `path` of `message` gets a field that nobody knows. */
function withUnknown(message: Message, ...path: (string | number)[]): Message {
  let inner = message as unknown as Record<string | number, unknown>;
  for (const key of path) inner = inner[key] as typeof inner;
  inner["$unknown"] = LATER;
  return message;
}

Deno.test("gRPC refuses fields of a later contract, at every depth, naming them", async () => {
  await using running = await planeWithService();
  const { plane, client } = running;
  const split = { split: [{ version: 1, share: 5_000 }, { version: 2, share: 5_000 }] };
  const spec = { check: { interval: "1s" }, limits: {}, policy: { statuses: {}, budget: {} } };
  const writes: [Write, (string | number)[], string][] = [
    ...OPERATIONS.flatMap((operation): typeof writes => [
      [write(operation), [], "99"],
      [write(operation), ["options"], "options.99"],
    ]),
    [write("register"), ["instance"], "instance.99"],
    ...[[], ["check"], ["limits"], ["policy"], ["policy", "statuses"], ["policy", "budget"], ["check", "interval"]].map(
      (
        path,
      ): typeof writes[number] => [
        write("service", { body: spec }),
        ["spec", ...path],
        `${["spec", ...path].join(".")}.99`,
      ],
    ),
    [write("alias", { body: split }), ["route"], "route.99"],
    [write("alias", { body: split }), ["route", "split", 1], "route.split[1].99"],
  ];
  const scope = { realm: "local" };
  const read = () => create(GetMapRequestSchema, { scope });
  const followers = create(ListFollowersRequestSchema, scope);
  const cases: [path: string, bytes: Uint8Array, field: string][] = [
    ...writes.map(([wanted, path, field]): [string, Uint8Array, string] => {
      const [schema, message] = messageOf(wanted);
      return [PATHS[wanted.operation], toBinary(schema, withUnknown(message, ...path)), field];
    }),
    [GET_MAP, toBinary(GetMapRequestSchema, withUnknown(read()) as never), "99"],
    [GET_MAP, toBinary(GetMapRequestSchema, withUnknown(read(), "scope") as never), "scope.99"],
    [LIST_FOLLOWERS, toBinary(ListFollowersRequestSchema, withUnknown(followers) as never), "99"],
    ...OTHERS.map(([path, schema, message]): typeof cases[number] => [
      path,
      toBinary(schema, withUnknown(create(schema, message as never))),
      "99",
    ]),
  ];
  await each(cases, async ([path, message, field]) => {
    await refuses(plane, client, {
      name: `${path} with ${field}`,
      path,
      messages: [message],
      code: "INVALID_ARGUMENT",
      fields: [field],
    });
  });
});

Deno.test("gRPC refuses reads of what is no realm, no service or no revision", async () => {
  await using running = await planeWithService();
  const { plane, client } = running;
  const get = (request: Parameters<typeof create<typeof GetMapRequestSchema>>[1]) =>
    toBinary(GetMapRequestSchema, create(GetMapRequestSchema, request));
  const cases: [path: string, message: Uint8Array, ...fields: string[]][] = [
    [GET_MAP, get({}), "scope", "realm"],
    [GET_MAP, get({ scope: { realm: "" } }), "realm"],
    [GET_MAP, get({ scope: { realm: "local", services: ["a", "B", ""] } }), "services[1]", "services[2]"],
    [GET_MAP, get({ scope: { realm: "local" }, minRevision: 2n ** 63n }), "minRevision"],
    [GET_MAP, get({ scope: { realm: "local" }, minRevision: 2n ** 64n - 1n }), "minRevision"],
    ...Object.values(BAD_NAMES).flatMap((realm): typeof cases => [
      [GET_MAP, get({ scope: { realm } }), "realm"],
      [LIST_FOLLOWERS, toBinary(ListFollowersRequestSchema, create(ListFollowersRequestSchema, { realm })), "realm"],
    ]),
    [LIST_FOLLOWERS, new Uint8Array(), "realm"],
    [GET_MAP, get({ scope: { realm: "local", services: new Array(5_001).fill("a") } }), "services"],
    // What is wrong with many fields is said of the first ones: it has to fit into headers.
    [
      GET_MAP,
      get({ scope: { realm: "local", services: new Array(5_000).fill("Upper") } }),
      ...Array.from({ length: 16 }, (_, i) => `services[${i}]`),
    ],
  ];
  await each(cases, async ([path, message, ...fields]) => {
    const name = `${path} ${fields}`;
    await refuses(plane, client, { name, path, messages: [message], code: "INVALID_ARGUMENT", fields });
  });
});

Deno.test("gRPC refuses requests over 1 MiB, and methods that it does not serve", async () => {
  await using running = await planeWithService();
  const { plane, client } = running;
  const large = bytesOf(write("register", { reason: "r".repeat(1 << 20) }));
  const cases: Refused[] = [
    ...ALL_PATHS.map((path) => ({
      name: `1 MiB to ${path}`,
      path,
      messages: [large],
      code: "RESOURCE_EXHAUSTED",
      fields: [],
    })),
    ...["RegistryService/Retire", "FleetService/Plan", "SettingsService/List"].map((method) => ({
      name: method,
      path: `/portolan.v1.${method}`,
      messages: [new Uint8Array()],
      code: "UNIMPLEMENTED",
      fields: [],
    })),
  ];
  await each(cases, async (refused) => void await refuses(plane, client, refused));
});

/** A control plane in memory for tests of the transports, with clients of it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type ServiceError, status } from "@grpc/grpc-js";
import { CLOCK, type Clock } from "../app/clock.ts";
import { startExpiry } from "../app/expiry.ts";
import { Fleet } from "../app/fleet.ts";
import { history } from "../app/history.ts";
import { openHub } from "../app/hub.ts";
import { importRealm } from "../app/import.ts";
import { Leases } from "../app/leases.ts";
import { Operations } from "../app/operations.ts";
import { Quota } from "../app/quota.ts";
import { Reading } from "../app/reading.ts";
import { UNMEASURED } from "../app/telemetry.ts";
import { isRefusal, type Refusal } from "../domain/refusal.ts";
import { openMemoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import { createClient } from "../../proto/grpc.ts";
import { type Log, SILENT } from "../../proto/log.ts";
import { formatAddress } from "../../proto/settings.ts";
import { BadRequestSchema } from "../../proto/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../proto/gen/google/rpc/status_pb.ts";
import type { PositionSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import {
  DiscoveryService,
  Follower_Kind,
  type Part,
  type WatchResponse,
} from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { FleetService } from "../../proto/gen/portolan/v1/fleet_pb.ts";
import { RegistryService } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { turn } from "../../proto/testing/turn.ts";
import { serveGrpc } from "./grpc.ts";
import { serveHttp } from "./http.ts";
import type { Ports } from "./ports.ts";

export interface TestOptions {
  readonly log?: Log;
  readonly clock?: Clock;
  readonly store?: Store;
  /** What one address may have at once. */
  readonly maxRequests?: number;
  readonly maxWatches?: number;
}

/** All that transports serve, without a transport. Disposing fails a test whose requests were taken for bugs. */
export async function testPorts(options: TestOptions = {}) {
  const { log: told = SILENT, clock = CLOCK, maxRequests = 1_000, maxWatches = 10_000 } = options;
  const faults: string[] = [];
  const log: Log = {
    ...told,
    error: (message, fields) => {
      told.error(message, fields);
      faults.push(`${message}: ${fields?.["stack"] ?? fields?.["error"]}`);
    },
  };
  await using stack = new AsyncDisposableStack();
  const store = stack.use(options.store ?? openMemoryStore());
  const leases = new Leases(clock);
  const hub = stack.use(await openHub({ store, log, now: clock.wall, observer: leases }));
  const operations = new Operations({ store, hub, leases, clock, log });
  const reading = new Reading({ store, hub, operations, log, minRevisionWaitMs: 20 });
  const fleet = stack.use(await Fleet.open({ store, hub, clock, log }));
  stack.use(startExpiry({ leases, operations, clock, log }));
  const { backup } = store;
  const requests = new Places(maxRequests, "requests");
  const watches = new Places(maxWatches, "watches");
  const ports: Ports = {
    operations,
    reading,
    leases,
    fleet,
    history: (query) => history(store, query),
    importRealm: (...how) => importRealm({ store, hub, operations, clock }, ...how),
    ...(backup && { backup: (path: string) => backup.call(store, path) }),
    requests,
    watches,
    telemetry: UNMEASURED,
    log,
  };
  const running = stack.move();
  return {
    ports,
    store,
    hub,
    requests,
    watches,
    /** What was logged as an error so far. */
    faults,
    async [Symbol.asyncDispose]() {
      await running.disposeAsync();
      assert.deepEqual(faults, [], "the control plane has logged errors");
    },
  };
}

/** A quota that tells how many places are taken. */
class Places extends Quota {
  taken = 0;

  override take(who: string): Disposable | Refusal {
    const place = super.take(who);
    if (isRefusal(place)) return place;
    this.taken++;
    let open = true;
    return {
      [Symbol.dispose]: () => {
        if (open) this.taken--;
        open = false;
        place[Symbol.dispose]();
      },
    };
  }
}

/** Resolves once something holds that tells nobody when it begins to. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  for (const begun = performance.now(); !holds();) {
    if (performance.now() - begun > 10_000) assert.fail(`For 10 s it did not come to this: ${what}`);
    await turn();
  }
}

/** The same over both transports, with clients. */
export async function testControlPlane(options: TestOptions = {}) {
  await using stack = new AsyncDisposableStack();
  const parts = stack.use(await testPorts(options));
  const grpc = stack.use(await serveGrpc(parts.ports, LOOPBACK));
  const http = stack.use(serveHttp(parts.ports, LOOPBACK));
  const target = formatAddress(grpc.address);
  const discovery = createClient(DiscoveryService, target);
  const registry = createClient(RegistryService, target);
  const fleet = createClient(FleetService, target);
  for (const client of [discovery, registry, fleet]) stack.defer(() => client.close());
  const origin = `http://${formatAddress(http.address)}`;
  const url = `${origin}/api/v1/realms/local`;
  const running = stack.move();
  return {
    ...parts,
    discovery,
    registry,
    fleet,
    /** `host:port` of gRPC. */
    target,
    origin,
    /** Of the realm `local`. */
    url,
    /** Asks for a path of the realm. */
    http: (method: string, path: string, more: Asked = {}) => ask(url + path, method, more),
    register: (service: string, id = "i", port = 1) =>
      registry.register({ realm: "local", service, id, instance: { host: "127.0.0.1", port } }),
    /** Both servers, as at the end of the program. */
    async stop() {
      await http[Symbol.asyncDispose]();
      await grpc[Symbol.asyncDispose]();
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

export type TestPlane = Awaited<ReturnType<typeof testControlPlane>>;

const LOOPBACK = { host: "127.0.0.1", port: 0 };

interface Asked {
  readonly headers?: Readonly<Record<string, string>>;
  /** As JSON. */
  readonly body?: unknown;
}

/** The answer to a request, read whole. */
export async function ask(url: string, method = "GET", { headers = {}, body }: Asked = {}) {
  const response = await fetch(url, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    // deno-lint-ignore no-explicit-any -- whatever the server says
    json: (text === "" ? undefined : JSON.parse(text)) as any,
  };
}

/** Who follows, as far as it matters to a test. */
interface Who {
  readonly id?: string;
  readonly kind?: Follower_Kind;
}

/** A watch whose parts are asked for one after the other. */
export function watching({ discovery }: Pick<TestPlane, "discovery">, who: Who = {}) {
  const { id = "test", kind = Follower_Kind.SIDECAR } = who;
  const call = discovery.watch();
  const parts = call[Symbol.asyncIterator]() as AsyncIterator<WatchResponse>;
  const say = (request: Parameters<typeof call.write>[0]) => void call.write(request);
  return {
    call,
    say,
    subscribe: (
      subscription: number,
      services: string[] = [],
      { after, program = "test/1" }: { after?: MessageInitShape<typeof PositionSchema>; program?: string } = {},
    ) => {
      const follower = { id, kind, program };
      const subscribe = { scope: { realm: "local", services }, subscription, follower, ...(after && { after }) };
      say({ message: { case: "subscribe", value: subscribe } });
    },
    async next(): Promise<{ part: Part; names: string[]; subscription: number }> {
      const { value, done } = await parts.next();
      if (done) throw new Error("The watch has ended");
      const { part, subscription } = value as WatchResponse;
      return { part: part!, names: part!.set.map(({ name }) => name), subscription };
    },
    received: ({ position }: Part) => say({ message: { case: "received", value: { ...(position && { position }) } } }),
    /** Resolves when the server has ended the stream without an error. */
    ended: async () => assert.ok((await parts.next()).done),
    /** Resolves with how the watch failed. */
    failure: () => once(call, "error").then(([error]) => error as ServiceError),
  };
}

export type Watching = ReturnType<typeof watching>;

/** The fields that a problem names. */
// deno-lint-ignore no-explicit-any -- whatever the server says
export function fieldsOf({ json }: { readonly json: any }): string[] {
  return json.violations.map(({ field }: { field: string }) => field);
}

/** How a gRPC call is refused: the name of its code, its words, the fields that its details name. */
export async function refusalOf(call: Promise<unknown>) {
  const error = await call.then(() => assert.fail("expected a refusal"), (error: ServiceError) => error);
  const [rich] = error.metadata?.get("grpc-status-details-bin") ?? [];
  const details = rich === undefined ? [] : fromBinary(StatusSchema, rich as Buffer).details;
  return {
    code: status[error.code] ?? String(error),
    details: error.details,
    fields: details.flatMap((detail) => anyUnpack(detail, BadRequestSchema)?.fieldViolations ?? []).map((one) =>
      one.field
    ),
  };
}

/** A clock that stands until it is told to go on. */
export class TestClock implements Clock {
  #wall = Date.UTC(2026, 0, 1);
  #monotonic = 0;

  wall = () => this.#wall;
  monotonic = () => this.#monotonic;

  /** Goes on by so many ms. */
  pass(ms: number): void {
    this.#wall += ms;
    this.#monotonic += ms;
  }
}

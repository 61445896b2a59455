/** A write of the model as a request over HTTP or gRPC, sent once: what came of it. */
import { type ServiceError, status } from "@grpc/grpc-js";
import { RegistryService } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { type Client, createClient } from "../../proto/grpc.ts";
import { Connection, request } from "../bench/connection.ts";
import type { Operation } from "./model.ts";
import type { Plane } from "./plane.ts";

/** Unavailable: certainly not applied. Unknown: perhaps; the same again, with the same operation id, tells. */
export type Outcome =
  | { readonly kind: "written"; readonly revision: bigint }
  | { readonly kind: "unavailable" | "unknown"; readonly why: string };

/** Sends writes one after the other, over a connection of its own. Throws what is refused for good. */
export interface Sender extends Disposable {
  send(operation: Operation, operationId: string): Promise<Outcome>;
}

/** One path, method and body a write; the realm's path goes before it. */
function overHttp(operation: Operation): readonly [method: string, path: string, body?: unknown] {
  if ("hostId" in operation) return ["POST", `/hosts/${operation.hostId}:${verbOf(operation.kind)}`];
  const service = `/services/${operation.service.split("/")[1]}`;
  switch (operation.kind) {
    case "register":
      return ["PUT", `${service}/instances/${operation.id}`, { host: "127.0.0.1", ...operation.instance }];
    case "deregister":
      return ["DELETE", `${service}/instances/${operation.id}`];
    case "put_alias": {
      const { version, split } = operation.route;
      return ["PUT", `${service}/aliases/${operation.alias}`, split.length > 0 ? { split } : { version }];
    }
    case "delete_alias":
      return ["DELETE", `${service}/aliases/${operation.alias}`];
    case "delete_service":
      return ["DELETE", `${service}?force=true`];
    case "enable_service":
    case "disable_service":
      return ["POST", `${service}:${verbOf(operation.kind)}`];
    default:
      return ["POST", `${service}/instances/${operation.id}:${operation.kind}`];
  }
}

function verbOf(kind: string): string {
  return kind.split("_")[0] ?? "";
}

function realmOf(operation: Operation): string {
  return "realm" in operation ? operation.realm : operation.service.split("/")[0] ?? "";
}

export class HttpSender implements Sender {
  #connection: Connection | undefined;

  constructor(private readonly plane: Plane) {}

  async send(operation: Operation, operationId: string): Promise<Outcome> {
    const [method, path, body = ""] = overHttp(operation);
    const text = body === "" ? "" : JSON.stringify(body);
    const url = `/api/v1/realms/${realmOf(operation)}${path}`;
    try {
      this.#connection ??= await Connection.open(this.plane.http);
      const answer = await this.#connection.ask(request(method, url, text, { "portolan-operation-id": operationId }));
      // As answers to larger bodies say.
      if (text.length > KEPT_UP_TO) this[Symbol.dispose]();
      if (answer.status === 200) return { kind: "written", revision: BigInt(JSON.parse(answer.body).revision) };
      if (answer.status === 503) return { kind: "unavailable", why: "503" };
      throw new Refused(`${method} ${url} ${text.slice(0, 300)}: ${answer.status} ${answer.body}`);
    } catch (error) {
      if (error instanceof Refused) throw error;
      this[Symbol.dispose]();
      return { kind: "unknown", why: "a connection broke" };
    }
  }

  [Symbol.dispose](): void {
    this.#connection?.[Symbol.dispose]();
    this.#connection = undefined;
  }
}

class Refused extends Error {}

/** Deno's server closes a connection after a body that it did not get together with the head, in bytes. */
const KEPT_UP_TO = 500;

// Whether the control plane says UNAVAILABLE or the connection does cannot be told apart here.
const PERHAPS = [status.UNAVAILABLE, status.CANCELLED, status.UNKNOWN, status.DEADLINE_EXCEEDED, status.INTERNAL];

export class GrpcSender implements Sender {
  #client: Client<typeof RegistryService> | undefined;

  constructor(private readonly plane: Plane) {}

  async send(operation: Operation, operationId: string): Promise<Outcome> {
    this.#client ??= createClient(RegistryService, this.plane.grpc, { "grpc.use_local_subchannel_pool": 1 });
    try {
      const { revision } = await overGrpc(this.#client, operation, { operationId });
      return { kind: "written", revision };
    } catch (error) {
      const { code, details } = error as Partial<ServiceError>;
      if (code === undefined || !PERHAPS.includes(code)) {
        throw new Error(`${JSON.stringify(operation).slice(0, 300)}: ${details}`, { cause: error });
      }
      this[Symbol.dispose]();
      return { kind: "unknown", why: status[code] ?? "" };
    }
  }

  [Symbol.dispose](): void {
    this.#client?.close();
    this.#client = undefined;
  }
}

const CALL = { timeoutMs: 20_000 };

function overGrpc(client: Client<typeof RegistryService>, operation: Operation, options: { operationId: string }) {
  const realm = realmOf(operation);
  const { kind } = operation;
  if ("hostId" in operation) {
    const target = { realm, hostId: operation.hostId, options };
    if (kind === "drain_host") return client.drain(target, CALL);
    return client.setEnabled({ ...target, enabled: kind === "enable_host" }, CALL);
  }
  const target = { realm, service: operation.service.split("/")[1] ?? "", options };
  switch (operation.kind) {
    case "register":
      return client.register({ ...target, id: operation.id, instance: instanceOf(operation) }, CALL);
    case "deregister":
      return client.deregister({ ...target, id: operation.id }, CALL);
    case "drain":
      return client.drain({ ...target, id: operation.id }, CALL);
    case "enable":
    case "disable":
      return client.setEnabled({ ...target, id: operation.id, enabled: operation.kind === "enable" }, CALL);
    case "enable_service":
    case "disable_service":
      return client.setEnabled({ ...target, enabled: operation.kind === "enable_service" }, CALL);
    case "put_alias": {
      const { version, split } = operation.route;
      return client.putAlias({ ...target, alias: operation.alias, route: { version, split: [...split] } }, CALL);
    }
    case "delete_alias":
      return client.deleteAlias({ ...target, alias: operation.alias }, CALL);
    case "delete_service":
      return client.deleteService({ ...target, force: true }, CALL);
  }
}

function instanceOf({ instance }: Extract<Operation, { kind: "register" }>) {
  return { host: "127.0.0.1", ...instance, metadata: { ...instance.metadata } };
}

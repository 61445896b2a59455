/** Changing the map over HTTP: paths, bodies and headers as requests of the contract, answered like over gRPC. */
import { create } from "@bufbuild/protobuf";
import type { Context } from "hono";
import type { Expected } from "../domain/decision.ts";
import { NO_REVISION } from "../domain/names.ts";
import { invalid, isRefusal, type Refusal, refuse } from "../domain/refusal.ts";
import { RouteSchema, ServiceSpecSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import * as pb from "../../proto/gen/portolan/v1/registry_pb.ts";
import {
  deleteAliasOrder,
  deleteServiceOrder,
  deregisterOrder,
  drainOrder,
  type HostOrder,
  instanceBeatOf,
  type Order,
  putAliasOrder,
  putServiceOrder,
  registerOrder,
  setEnabledOrder,
} from "./decode_registry.ts";
import { parseRevisionText } from "./decode.ts";
import { execute, releaseHeld } from "./orders.ts";
import { bodyAs } from "./http_body.ts";
import {
  etag,
  jsonResponse,
  refuseConditions,
  refuseUnknownQuery,
  type Routes,
  VERB,
  writeOptions,
} from "./http_common.ts";
import type { Ports } from "./ports.ts";

type OrderOf = (context: Context) => Order | HostOrder | Refusal | Promise<Order | HostOrder | Refusal>;

const REALM = "/api/v1/realms/:realm";
const SERVICE = `${REALM}/services/:service`;
const INSTANCE = `${SERVICE}/instances/:id`;

export function registryRoutes(ports: Ports): Routes {
  const write = (orderOf: OrderOf, known: readonly string[] = []) => async (context: Context) => {
    const order = refuseUnknownQuery(context, known) ?? await orderOf(context);
    return isRefusal(order) ? order : await answer(ports, order, context);
  };
  const verbs = (path: string) => ({
    [`${path}${VERB}enable`]: { POST: write((context) => setEnabled(context, true)) },
    [`${path}${VERB}disable`]: { POST: write((context) => setEnabled(context, false)) },
    [`${path}${VERB}drain`]: { POST: write(drain) },
  });
  return {
    [INSTANCE]: { PUT: write(register), DELETE: write(deregister) },
    [SERVICE]: { PUT: write(putService), DELETE: write(deleteService, ["force"]) },
    [`${SERVICE}/aliases/:alias`]: { PUT: write(putAlias), DELETE: write(deleteAlias) },
    ...verbs(INSTANCE),
    ...verbs(SERVICE),
    ...verbs(`${REALM}/hosts/:hostId`),
    [`${INSTANCE}${VERB}renew`]: { POST: (context) => beat(ports, context) },
    [`${REALM}/held${VERB}release`]: { POST: (context) => release(ports, context) },
  };
}

async function answer(ports: Ports, order: Order | HostOrder, context: Context): Promise<Response | Refusal> {
  const refusal = isOfOne(order) ? undefined : refuseConditions(context);
  const expected = refusal ?? expectedOf(context);
  if (typeof expected === "object") return expected;
  const conditional = order.kind === "host" || expected === undefined
    ? order
    : { ...order, command: { ...order.command, expected } as Order["command"] };
  const outcome = await execute(ports, conditional);
  if (isRefusal(outcome)) return outcome;
  const revision = outcome.revision.toString();
  const json = JSON.stringify({ revision, ...(outcome.lease && { leaseId: outcome.lease }) });
  return jsonResponse(json, { "portolan-revision": revision, ...(isPut(context) && { etag: etag(outcome.revision) }) });
}

function isPut(context: Context): boolean {
  return context.req.method === "PUT";
}

/** Whether an order is about one resource: draining a service is about its instances. */
function isOfOne(order: Order | HostOrder): boolean {
  return order.kind === "order" && !(order.command.kind === "drain" && order.command.id === undefined);
}

/** What `If-Match` and `If-None-Match` expect (RFC 9110 §13.1). */
function expectedOf(context: Context): Expected | undefined | Refusal {
  const match = context.req.header("if-match");
  const none = context.req.header("if-none-match");
  if (match === undefined && none === undefined) return undefined;
  if (match !== undefined && none !== undefined) {
    return invalid([{ field: "If-None-Match", description: "expected without If-Match" }]);
  }
  if (none !== undefined) {
    return none === "*" ? NO_REVISION : invalid([{ field: "If-None-Match", description: "expected * for a write" }]);
  }
  if (match === "*") return "exists";
  if (/^W\/"[^"]*"$/.test(match ?? "")) return refuse("moved", "Cannot write with a weak If-Match: it never matches");
  const revision = parseRevisionText(/^"([0-9]+)"$/.exec(match ?? "")?.[1] ?? "");
  // Nothing was ever at revision 0: to the domain it means what does not exist.
  if (typeof revision === "bigint" && revision !== NO_REVISION) return revision;
  return invalid([{ field: "If-Match", description: `expected * or one ETag, no list, as answered, like "12"` }]);
}

async function register(context: Context): Promise<Order | Refusal> {
  const instance = await bodyAs(pb.InstanceSpecSchema, context);
  if (isRefusal(instance)) return instance;
  return registerOrder(create(pb.RegisterRequestSchema, { ...target(context), instance }));
}

function deregister(context: Context): Order | Refusal {
  return deregisterOrder(create(pb.DeregisterRequestSchema, target(context)));
}

function setEnabled(context: Context, enabled: boolean): Order | HostOrder | Refusal {
  return setEnabledOrder(create(pb.SetEnabledRequestSchema, { ...target(context), enabled }));
}

function drain(context: Context): Order | HostOrder | Refusal {
  return drainOrder(create(pb.DrainRequestSchema, target(context)));
}

async function putService(context: Context): Promise<Order | Refusal> {
  const spec = await bodyAs(ServiceSpecSchema, context);
  if (isRefusal(spec)) return spec;
  return putServiceOrder(create(pb.PutServiceRequestSchema, { ...target(context), spec }));
}

function deleteService(context: Context): Order | Refusal {
  const force = context.req.query("force") ?? "false";
  if (force !== "true" && force !== "false") {
    return invalid([{ field: "force", description: "expected true or false" }]);
  }
  return deleteServiceOrder(create(pb.DeleteServiceRequestSchema, { ...target(context), force: force === "true" }));
}

async function putAlias(context: Context): Promise<Order | Refusal> {
  const route = await bodyAs(RouteSchema, context);
  if (isRefusal(route)) return route;
  return putAliasOrder(create(pb.PutAliasRequestSchema, { ...target(context), route }));
}

function deleteAlias(context: Context): Order | Refusal {
  return deleteAliasOrder(create(pb.DeleteAliasRequestSchema, target(context)));
}

async function release(ports: Ports, context: Context): Promise<Response | Refusal> {
  const request = create(pb.ReleaseHeldRequestSchema, target(context));
  const refusal = refuseUnknownQuery(context, []) ?? refuseConditions(context);
  const outcome = refusal ?? await releaseHeld(ports, request);
  if (isRefusal(outcome)) return outcome;
  const revision = outcome.revision.toString();
  return jsonResponse(JSON.stringify({ revision, released: outcome.released }), { "portolan-revision": revision });
}

/** A beat of the lease in the body, by whoever registered the instance of the path. */
async function beat({ leases, reading }: Ports, context: Context): Promise<Response | Refusal> {
  const request = await bodyAs(pb.RenewRequestSchema, context);
  if (isRefusal(request)) return request;
  const beat = refuseUnknownQuery(context, []) ?? refuseConditions(context) ??
    instanceBeatOf(request, context.req.param());
  if (isRefusal(beat)) return beat;
  const { lease, id } = beat;
  if (!leases.holds(lease, beat, id) || !leases.beat(lease)) {
    return refuse("not_found", `Cannot renew lease "${lease}": it does not hold instance "${id}"; register again`);
  }
  return jsonResponse(JSON.stringify({ leaseId: lease, alive: true, epoch: `${reading.position().epoch}` }));
}

/** Names of the path, and why. */
function target(context: Context) {
  return { ...context.req.param(), options: writeOptions(context) };
}

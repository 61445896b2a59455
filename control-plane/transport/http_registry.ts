/** Changing the map over HTTP: paths, bodies and headers as requests of the contract, answered like over gRPC. */
import { create } from "@bufbuild/protobuf";
import type { Context } from "hono";
import { anonymous } from "../app/caller.ts";
import type { Operations } from "../app/operations.ts";
import { invalid, isRefusal, type Refusal } from "../domain/refusal.ts";
import { RouteSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import {
  DeregisterRequestSchema,
  InstanceSpecSchema,
  PutAliasRequestSchema,
  RegisterRequestSchema,
  SetEnabledRequestSchema,
} from "../../proto/gen/portolan/v1/registry_pb.ts";
import { type Handler, jsonResponse, refuseUnknownQuery, type Routes, VERB } from "./http_common.ts";
import type { Ports } from "./ports.ts";
import { parseJson } from "./json.ts";
import { deregisterOrder, type Order, putAliasOrder, registerOrder, setEnabledOrder } from "./decode.ts";

export function registryRoutes({ operations }: Ports): Routes {
  const service = "/api/v1/realms/:realm/services/:service";
  const instance = `${service}/instances/:id`;
  const write = (orderOf: (context: Context) => Order | Refusal | Promise<Order | Refusal>): Handler => {
    return async (context) => refuseUnserved(context) ?? await execute(operations, await orderOf(context));
  };
  return {
    [instance]: { PUT: write(register), DELETE: write(deregister) },
    [`${instance}${VERB}enable`]: { POST: write((context) => setEnabled(context, true)) },
    [`${instance}${VERB}disable`]: { POST: write((context) => setEnabled(context, false)) },
    [`${service}${VERB}enable`]: { POST: write((context) => setEnabled(context, true)) },
    [`${service}${VERB}disable`]: { POST: write((context) => setEnabled(context, false)) },
    [`${service}/aliases/:alias`]: { PUT: write(putAlias) },
  };
}

// A write goes on though its client has gone: it may be committed already.
const NEVER = new AbortController().signal;

async function execute(operations: Operations, order: Order | Refusal): Promise<Response | Refusal> {
  if (isRefusal(order)) return order;
  const outcome = await operations.execute(anonymous(NEVER, order.reason), order.command);
  if (isRefusal(outcome)) return outcome;
  const revision = outcome.revision.toString();
  return jsonResponse(JSON.stringify({ revision }), { "portolan-revision": revision });
}

async function register(context: Context): Promise<Order | Refusal> {
  const instance = parseJson(InstanceSpecSchema, await body(context));
  if (isRefusal(instance)) return instance;
  return registerOrder(create(RegisterRequestSchema, { ...target(context), instance }));
}

function deregister(context: Context): Order | Refusal {
  return deregisterOrder(create(DeregisterRequestSchema, target(context)));
}

function setEnabled(context: Context, enabled: boolean): Order | Refusal {
  return setEnabledOrder(create(SetEnabledRequestSchema, { ...target(context), enabled }));
}

async function putAlias(context: Context): Promise<Order | Refusal> {
  const route = parseJson(RouteSchema, await body(context));
  if (isRefusal(route)) return route;
  return putAliasOrder(create(PutAliasRequestSchema, { ...target(context), route }));
}

/** Names of the path, and why. */
function target(context: Context) {
  return { ...context.req.param(), options: { reason: utf8(context.req.header("portolan-reason") ?? "") } };
}

/** A header's bytes as the text that most senders mean: they come as one character each. */
function utf8(header: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(header, (byte) => byte.charCodeAt(0)));
  } catch {
    return header;
  }
}

async function body(context: Context): Promise<Uint8Array> {
  return new Uint8Array(await context.req.arrayBuffer());
}

/** What users of later builds ask for and this one does not do, so that nobody takes it for done. */
const UNSERVED = ["If-Match", "If-None-Match", "Portolan-Operation-Id"];

function refuseUnserved(context: Context): Refusal | undefined {
  const asked = UNSERVED.filter((header) => context.req.header(header) !== undefined);
  if (asked.length === 0) return refuseUnknownQuery(context, []);
  return invalid(asked.map((field) => ({ field, description: "is not served yet: leave it out" })));
}

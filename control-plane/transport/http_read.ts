/** Reading the map over HTTP, and following it as server-sent events. */
import type { Context } from "hono";
import { anonymous } from "../app/caller.ts";
import type { Operations } from "../app/operations.ts";
import { findAlias, findInstance, type Service } from "../domain/cluster_map.ts";
import { Invalid, NO_REVISION, parseAliasName, parseInstanceId, parseRealm } from "../domain/names.ts";
import { parseRevision, parseServiceName } from "../domain/names.ts";
import { isRefusal, type Refusal, refuse } from "../domain/refusal.ts";
import type { Scope, Update } from "../domain/update.ts";
import { aliasJson, instanceJson, positionJson, serviceJson, servicesJson } from "./encode.ts";
import { eventStream } from "./events.ts";
import { Violations } from "./violations.ts";
import { jsonResponse, refuseUnknownQuery, type Routes } from "./http_common.ts";
import type { Ports } from "./ports.ts";
import { formatPosition, parsePosition } from "./decode.ts";

export function readRoutes({ operations }: Ports, stopping: AbortSignal): Routes {
  const read = (context: Context) => readScope(operations, context, stopping);
  const realm = "/api/v1/realms/:realm";
  const list = async (context: Context) => {
    const update = await read(context);
    if (isRefusal(update)) return update;
    return respond(update, `{"position":${positionJson(update.position)},"services":${servicesJson(update.set)}}`);
  };
  return {
    [`${realm}/map`]: { GET: list },
    [`${realm}/services`]: { GET: list },
    [`${realm}/services/:service`]: { GET: (context) => one(read, context, serviceJson) },
    [`${realm}/services/:service/instances/:id`]: {
      GET: (context) => one(read, context, instanceIn(context)),
    },
    [`${realm}/services/:service/aliases/:alias`]: { GET: (context) => one(read, context, aliasIn(context)) },
    [`${realm}/watch`]: { GET: (context) => watch(operations, context, stopping) },
  };
}

/** What the path names, at a revision that is not before `?minRevision=`. */
function readScope(operations: Operations, context: Context, signal: AbortSignal): Promise<Update | Refusal> | Refusal {
  const { realm, service, id, alias } = context.req.param() as Record<string, string | undefined>;
  const fields = new Violations();
  const scope: Scope = {
    realm: fields.take("realm", parseRealm(realm ?? "")),
    ...(service !== undefined && { services: new Set([fields.take("service", parseServiceName(service))]) }),
  };
  if (id !== undefined) fields.take("id", parseInstanceId(id));
  if (alias !== undefined) fields.take("alias", parseAliasName(alias));
  const least = fields.take("minRevision", revisionOf(context.req.query("minRevision")));
  const refusal = fields.refusal() ?? refuseUnknownQuery(context, ["minRevision"]);
  return refusal ?? operations.read(anonymous(signal), scope, least);
}

function revisionOf(text: string | undefined) {
  if (text === undefined) return NO_REVISION;
  return /^[0-9]{1,19}$/.test(text) ? parseRevision(BigInt(text)) : new Invalid("expected a whole number");
}

type Read = (context: Context) => ReturnType<typeof readScope>;

async function one(read: Read, context: Context, jsonOf: (service: Service) => string | undefined) {
  const update = await read(context);
  if (isRefusal(update)) return update;
  const json = update.set[0] && jsonOf(update.set[0]);
  if (json !== undefined) return respond(update, json);
  return refuse("not_found", `Cannot find "${new URL(context.req.url).pathname}": it does not exist`);
}

function instanceIn(context: Context) {
  return (service: Service) => {
    const instance = findInstance(service, context.req.param("id") as never);
    return instance && instanceJson(instance);
  };
}

function aliasIn(context: Context) {
  return (service: Service) => {
    const alias = findAlias(service, context.req.param("alias") as never);
    return alias && aliasJson(alias);
  };
}

function respond({ position }: Update, json: string): Response {
  return jsonResponse(json, { "portolan-position": formatPosition(position) });
}

function watch(operations: Operations, context: Context, stopping: AbortSignal): Response | Refusal {
  const fields = new Violations();
  const names = context.req.queries("service") ?? [];
  const services = names.map((name) => fields.take("service", parseServiceName(name)));
  const realm = fields.take("realm", parseRealm(context.req.param("realm") ?? ""));
  // A browser that reconnects keeps the query and knows better in the header.
  const resumed = context.req.header("last-event-id");
  const text = resumed ?? context.req.query("after");
  const after = text === undefined
    ? undefined
    : fields.take(resumed === undefined ? "after" : "Last-Event-ID", parsePosition(text, operations.position()));
  const refusal = fields.refusal() ?? refuseUnknownQuery(context, ["service", "after"]);
  if (refusal) return refusal;
  const scope = services.length > 0 ? { realm, services: new Set(services) } : { realm };
  return new Response(eventStream(operations, scope, after, stopping), {
    headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
  });
}

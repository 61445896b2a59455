/** Reading the map over HTTP, and following it as server-sent events. */
import type { Context } from "hono";
import { anonymous } from "../app/caller.ts";
import type { Moment, Reading } from "../app/reading.ts";
import { findAlias, findInstance, type Service } from "../domain/cluster_map.ts";
import { Invalid, NO_REVISION, parseAliasName, parseInstanceId, parseRealm } from "../domain/names.ts";
import { parseServiceName } from "../domain/names.ts";
import { isRefusal, type Refusal, refuse } from "../domain/refusal.ts";
import type { Scope, Update } from "../domain/update.ts";
import { formatPosition } from "../../proto/position.ts";
import { aliasJson, instanceJson, positionJson, serviceJson } from "./encode.ts";
import { eventStream } from "./http_events.ts";
import { Violations } from "./violations.ts";
import { type Bindings, etag, placeIn, refuseUnknownQuery, type Routes } from "./http_common.ts";
import { longJson, PIECE, sliced } from "./http_long.ts";
import { Quota } from "../app/quota.ts";
import type { Ports } from "./ports.ts";
import { Room } from "./room.ts";
import { parsePosition, parseRevisionText } from "./decode.ts";
import { parseTime } from "../../proto/time.ts";

/** Maps of the past that one address may be reading at once: each is in memory for its reader alone. */
const MOST_PASTS = 8;

export function readRoutes({ reading, requests, watches }: Ports, stopping: AbortSignal): Routes {
  const read = (context: Context) => readScope(reading, context, stopping);
  const room = new Room();
  const pasts = new Quota(MOST_PASTS, "answers about the past");
  const realm = "/api/v1/realms/:realm";
  const list = async (context: Context) => {
    const update = await read(context);
    if (isRefusal(update)) return update;
    const headers = { "portolan-position": formatPosition(update.position) };
    const places = context.req.query("at") === undefined ? requests : pasts;
    return longJson(places, context, listJson(update), headers);
  };
  return {
    [`${realm}/map`]: { GET: list },
    [`${realm}/services`]: { GET: list },
    [`${realm}/services/:service`]: { GET: (context) => one(read, requests, context, serviceIn) },
    [`${realm}/services/:service/instances/:id`]: {
      GET: (context) => one(read, requests, context, instanceIn(context)),
    },
    [`${realm}/services/:service/aliases/:alias`]: { GET: (context) => one(read, requests, context, aliasIn(context)) },
    [`${realm}/watch`]: { GET: (context) => watch(reading, watches, room, context, stopping) },
  };
}

function* listJson({ position, set }: Update): Generator<string, undefined> {
  let piece = `{"position":${positionJson(position)},"services":[`;
  for (const [i, service] of set.entries()) {
    piece += (i > 0 ? "," : "") + serviceJson(service);
    if (piece.length < PIECE) continue;
    yield piece;
    piece = "";
  }
  yield `${piece}]}`;
}

/** What the path names, at a revision that is not before `?minRevision=`. */
function readScope(reading: Reading, context: Context, signal: AbortSignal): Promise<Update | Refusal> | Refusal {
  const { realm, service, id, alias } = context.req.param() as Record<string, string | undefined>;
  const fields = new Violations();
  const scope: Scope = {
    realm: fields.take("realm", parseRealm(realm ?? "")),
    ...(service !== undefined && { services: new Set([fields.take("service", parseServiceName(service))]) }),
  };
  if (id !== undefined) fields.take("id", parseInstanceId(id));
  if (alias !== undefined) fields.take("alias", parseAliasName(alias));
  const { minRevision, at } = context.req.query();
  const least = minRevision === undefined ? NO_REVISION : fields.take("minRevision", parseRevisionText(minRevision));
  const moment = at === undefined ? undefined : fields.take("at", parseMoment(at));
  if (moment !== undefined && minRevision !== undefined) fields.add("minRevision", "expected without at");
  const refusal = fields.refusal() ?? refuseUnknownQuery(context, ["minRevision", "at"]);
  return refusal ?? (moment ? reading.readAt(scope, moment, signal) : reading.read(anonymous(signal), scope, least));
}

/** A revision, or a time as RFC 3339 has it. */
export function parseMoment(text: string): Moment | Invalid {
  const revision = parseRevisionText(text);
  if (!(revision instanceof Invalid)) return { revision };
  const time = parseTime(text);
  return time === undefined ? new Invalid("expected a revision, or a time like 2026-01-31T12:00:00Z") : { time };
}

type Read = (context: Context) => ReturnType<typeof readScope>;

/** One resource as JSON, with the revision that last changed it. */
type Found = { readonly json: string; readonly modified: bigint; readonly whole: boolean } | undefined;

async function one(
  read: Read,
  requests: Quota,
  context: Context,
  find: (service: Service) => Found,
): Promise<Response | Refusal> {
  const update = await read(context);
  if (isRefusal(update)) return update;
  const found = update.set[0] && find(update.set[0]);
  if (!found) return refuse("not_found", `Cannot find "${new URL(context.req.url).pathname}": it does not exist`);
  const tag = etag(found.modified);
  // A service's ETag is that of its own fields: instances may have changed meanwhile.
  const known = found.whole && isKnown(tag, context.req.header("if-none-match") ?? "");
  const headers = { "portolan-position": formatPosition(update.position), etag: tag };
  return known
    ? new Response(null, { status: 304, headers })
    : longJson(requests, context, sliced(found.json), headers);
}

/** Whether `If-None-Match` names the tag; what passed through a proxy may be weak by then (RFC 9110 §13.1.2). */
function isKnown(tag: string, header: string): boolean {
  return header.split(",").map((one) => one.trim()).some((one) => one === "*" || one.replace(/^W\//, "") === tag);
}

function serviceIn(service: Service): Found {
  return { json: serviceJson(service), modified: service.specModified, whole: false };
}

function instanceIn(context: Context) {
  return (service: Service): Found => {
    const instance = findInstance(service, context.req.param("id") as never);
    return instance && { json: instanceJson(instance), modified: instance.modified, whole: true };
  };
}

function aliasIn(context: Context) {
  return (service: Service): Found => {
    const alias = findAlias(service, context.req.param("alias") as never);
    return alias && { json: aliasJson(alias), modified: alias.modified, whole: true };
  };
}

async function watch(reading: Reading, watches: Quota, room: Room, context: Context, stopping: AbortSignal) {
  const fields = new Violations();
  const names = context.req.queries("service") ?? [];
  const services = names.map((name) => fields.take("service", parseServiceName(name)));
  const realm = fields.take("realm", parseRealm(context.req.param("realm") ?? ""));
  // A browser that reconnects keeps the query and knows better in the header.
  const resumed = context.req.header("last-event-id");
  const text = resumed ?? context.req.query("after");
  const after = text === undefined
    ? undefined
    : fields.take(resumed === undefined ? "after" : "Last-Event-ID", parsePosition(text, reading.position()));
  const refusal = fields.refusal() ?? refuseUnknownQuery(context, ["service", "after"]);
  // A bare revision claims nothing of another epoch or another store.
  const unsettled = refusal ?? (after && text?.includes(".") ? await reading.settle(after) : undefined);
  if (unsettled) return unsettled;
  const scope = services.length > 0 ? { realm, services: new Set(services) } : { realm };
  const turn = placeIn(watches, context);
  if (isRefusal(turn)) return turn;
  const { peer } = context.env as Bindings;
  const take = (bytes: number, signal: AbortSignal) => room.take(peer, bytes, signal);
  return new Response(eventStream(reading, scope, after, stopping, turn, take), {
    headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
  });
}

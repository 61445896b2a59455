/** Who follows the map, whether a change has arrived, and what happened, over HTTP. */
import { create, type DescMessage, type MessageShape, toJsonString } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import type { Context } from "hono";
import { Invalid, parseRealm } from "../domain/names.ts";
import { invalid, isRefusal, type Refusal } from "../domain/refusal.ts";
import * as pb from "../../proto/gen/portolan/v1/fleet_pb.ts";
import { formatPosition } from "../../proto/position.ts";
import { parseWhole } from "./decode.ts";
import { followersResponse, historyQuery, historyResponse, type Wait, waitOf, waitResponse } from "./fleet.ts";
import { arrival, forget } from "./orders.ts";
import {
  jsonResponse,
  placeIn,
  refuseConditions,
  refuseUnknownQuery,
  type Routes,
  writeOptions,
} from "./http_common.ts";
import { holding, longJson, sliced } from "./http_long.ts";
import type { HistoryQuery } from "../app/history.ts";
import type { Ports } from "./ports.ts";
import { Violations } from "./violations.ts";

export function fleetRoutes(ports: Ports, stopping: AbortSignal): Routes {
  const realm = "/api/v1/realms/:realm";
  return {
    [`${realm}/followers`]: { GET: (context) => followers(ports, context) },
    [`${realm}/followers/:id`]: { DELETE: (context) => forgetOne(ports, context) },
    [`${realm}/wait`]: { GET: (context) => wait(ports, context, stopping) },
    [`${realm}/history`]: { GET: (context) => history(ports, context) },
  };
}

function followers({ reading, fleet, requests }: Ports, context: Context): Response | Refusal {
  const unknown = refuseUnknownQuery(context, []);
  if (unknown) return unknown;
  const realm = parseRealm(context.req.param("realm") ?? "");
  if (realm instanceof Invalid) return invalid([{ field: "realm", description: realm.problem }]);
  const position = reading.position();
  const response = json(pb.ListFollowersResponseSchema, followersResponse(position, fleet.list(realm)));
  const headers = { "portolan-position": formatPosition(position) };
  return longJson(requests, context, sliced(response), headers);
}

async function forgetOne(ports: Ports, context: Context): Promise<Response | Refusal> {
  const request = create(pb.ForgetFollowerRequestSchema, { ...context.req.param(), options: writeOptions(context) });
  const refusal = refuseUnknownQuery(context, []) ?? refuseConditions(context);
  const outcome = refusal ?? await forget(ports, request);
  if (isRefusal(outcome)) return outcome;
  const revision = outcome.revision.toString();
  return jsonResponse(JSON.stringify({ revision }), { "portolan-revision": revision });
}

function wait(ports: Ports, context: Context, stopping: AbortSignal): Response | Refusal {
  const fields = new Violations();
  const { revision = "0", timeout = "0s" } = context.req.query();
  const [, seconds, fraction = ""] = /^([0-9]{1,9})(?:\.([0-9]{1,9}))?s$/.exec(timeout) ?? [];
  if (seconds === undefined) fields.add("timeout", 'expected a duration in seconds, like "5s"');
  const request = create(pb.WaitForRevisionRequestSchema, {
    realm: context.req.param("realm") ?? "",
    revision: fields.take("revision", parseWhole(revision)),
    timeout: create(DurationSchema, { seconds: BigInt(seconds ?? 0), nanos: Number(fraction.padEnd(9, "0")) }),
  });
  const refusal = fields.refusal() ?? refuseUnknownQuery(context, ["revision", "timeout"]);
  const asked = refusal ?? waitOf(request);
  if (isRefusal(asked)) return asked;
  const place = placeIn(ports.requests, context);
  if (isRefusal(place)) return place;
  return new Response(holding(place, arrivalJson(ports, asked, stopping)), { headers: JSON_TYPE });
}

/** Begun before it is known: this is how the runtime says that whoever waits has gone. */
function arrivalJson(ports: Ports, asked: Wait, stopping: AbortSignal): ReadableStream<Uint8Array> {
  const gone = new AbortController();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const reached = await arrival(ports, asked, [stopping, gone.signal]);
      if (gone.signal.aborted) return;
      controller.enqueue(new TextEncoder().encode(json(pb.WaitForRevisionResponseSchema, waitResponse(reached))));
      controller.close();
    },
    cancel: () => gone.abort(),
  }, { highWaterMark: 0 });
}

function history(ports: Ports, context: Context): Response | Refusal {
  const fields = new Violations();
  const { service = "", after = "0", operationId = "", limit = "0" } = context.req.query();
  const most = fields.take("limit", parseWhole(limit));
  if (typeof most === "bigint" && most > 0xffff_ffffn) fields.add("limit", "expected a smaller number");
  const request = {
    realm: context.req.param("realm") ?? "",
    service,
    after: fields.take("after", parseWhole(after)),
    operationId,
    limit: Number(most),
  };
  const refusal = fields.refusal() ?? refuseUnknownQuery(context, ["service", "after", "operationId", "limit"]);
  const query = refusal ?? historyQuery(create(pb.HistoryRequestSchema, request));
  if (isRefusal(query)) return query;
  const place = placeIn(ports.requests, context);
  if (isRefusal(place)) return place;
  const over = new AbortController();
  const held = {
    [Symbol.dispose]() {
      over.abort();
      place[Symbol.dispose]();
    },
  };
  const body = holding(held, ReadableStream.from(historyJson(ports, query, over.signal)));
  return new Response(body, { headers: JSON_TYPE });
}

const JSON_TYPE = { "content-type": "application/json" };

/** Piece by piece: there may be a lot of it. */
async function* historyJson(
  { history, log }: Ports,
  query: HistoryQuery,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const utf8 = new TextEncoder();
  let before = '{"entries":[';
  try {
    for await (const entry of history({ ...query, signal })) {
      yield utf8.encode(before + json(pb.HistoryResponseSchema, historyResponse(entry)));
      before = ",\n";
    }
  } catch (error) {
    if (signal.aborted) return;
    // The status is said already: its reader sees a connection that breaks.
    log.error("Cannot go on with a history", { error });
    throw error;
  }
  yield utf8.encode(before.startsWith("{") ? `${before}]}` : "]}");
}

function json<M extends DescMessage>(schema: M, message: MessageShape<M>): string {
  return toJsonString(schema, message, { alwaysEmitImplicit: true });
}

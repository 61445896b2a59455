/** `FleetService`: who follows the map, whether a change has arrived, and what happened. */
import type * as grpc from "@grpc/grpc-js";
import type { Arrival } from "../app/fleet.ts";
import { Invalid, NO_REVISION, parseRealm } from "../domain/names.ts";
import { invalid, isRefusal, type Refusal } from "../domain/refusal.ts";
import { encode, type Encoded } from "../../proto/grpc.ts";
import * as pb from "../../proto/gen/portolan/v1/fleet_pb.ts";
import { addUnknown, optionsOf, refuseUnknown } from "./decode.ts";
import { followersResponse, historyQuery, historyResponse, type Wait, waitOf, waitResponse } from "./fleet.ts";
import { streaming, unary, writer } from "./grpc_calls.ts";
import type { Ports } from "./ports.ts";
import type { Room } from "./room.ts";
import { Violations } from "./violations.ts";

/** Waits end when `stopping` aborts, as things are then. */
export function fleetHandlers(ports: Ports, room: Room, stopping: AbortSignal): grpc.UntypedServiceImplementation {
  const { reading, fleet, history } = ports;
  return {
    listFollowers: unary(ports, (request: pb.ListFollowersRequest) => {
      const unknown = refuseUnknown(request);
      if (unknown) return unknown;
      const realm = parseRealm(request.realm);
      if (realm instanceof Invalid) return invalid([{ field: "realm", description: realm.problem }]);
      return followersResponse(reading.position(), fleet.list(realm));
    }),
    forgetFollower: unary(ports, async (request: pb.ForgetFollowerRequest) => {
      const outcome = await forget(ports, request);
      return isRefusal(outcome) ? outcome : { revision: outcome.revision };
    }),
    waitForRevision: unary(ports, async (request: pb.WaitForRevisionRequest, signal) => {
      const wait = waitOf(request);
      return isRefusal(wait) ? wait : waitResponse(await arrival(ports, wait, [signal, stopping]));
    }),
    // deno-lint-ignore require-await -- handlers of streams answer with a promise
    history: streaming(ports, async (request: pb.HistoryRequest, signal, peer) => {
      const query = historyQuery(request);
      if (isRefusal(query)) return query;
      return responses(history({ ...query, signal }), (bytes) => room.hold(peer, bytes, signal));
    }),
  };
}

/** Takes a sidecar off the roster. */
export async function forget({ fleet }: Pick<Ports, "fleet">, request: pb.ForgetFollowerRequest) {
  const fields = new Violations();
  addUnknown(fields, request, "");
  const realm = fields.take("realm", parseRealm(request.realm));
  const options = optionsOf(fields, request.options, false);
  if (options.operationId !== undefined) fields.add("operationId", "expected none: whoever is forgotten stays so");
  // A follower's id may be older than the grammar of names.
  if (request.id === "") fields.add("id", "expected a name, not nothing");
  return fields.refusal() ?? await fleet.forget(writer(options), realm, request.id);
}

/** Waits as long as is asked for, and no longer than `signals` allow; revision 0 is the newest. */
export async function arrival(
  { fleet, reading }: Ports,
  { realm, revision, timeoutMs }: Wait,
  signals: readonly AbortSignal[],
): Promise<Arrival> {
  const wanted = revision === NO_REVISION ? reading.position().revision : revision;
  const over = new AbortController();
  if (timeoutMs === 0) over.abort();
  const timer = setTimeout(() => over.abort(), timeoutMs);
  try {
    return await fleet.wait(realm, wanted, AbortSignal.any([...signals, over.signal]));
  } finally {
    clearTimeout(timer);
  }
}

/** There may be a lot of it: what is sent has room as long as the call stands, and ends where there is none. */
async function* responses(
  entries: ReturnType<Ports["history"]>,
  hold: (bytes: number) => Promise<Refusal | undefined>,
): AsyncGenerator<Encoded | Refusal> {
  let bytes = 0;
  for await (const entry of entries) {
    const message = encode(pb.HistoryResponseSchema, historyResponse(entry));
    bytes += message.length;
    if (bytes >= AT_ONCE) {
      const refusal = await hold(bytes);
      if (refusal) return yield refusal;
      bytes = 0;
    }
    yield message;
  }
}

/** Bytes of the past that are given room together. */
const AT_ONCE = 1 << 20;

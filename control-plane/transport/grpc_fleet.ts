/** `FleetService`: who follows the map, whether a change has arrived, and what happened. */
import type * as grpc from "@grpc/grpc-js";
import { Invalid, parseRealm } from "../domain/names.ts";
import { invalid, isRefusal, type Refusal } from "../domain/refusal.ts";
import { encode, type Encoded } from "../../proto/grpc.ts";
import * as pb from "../../proto/gen/portolan/v1/fleet_pb.ts";
import { refuseUnknown } from "./decode.ts";
import { followersResponse, historyQuery, historyResponse, waitOf, waitResponse } from "./fleet.ts";
import { streaming, unary } from "./grpc_calls.ts";
import { arrival, forget } from "./orders.ts";
import type { Ports } from "./ports.ts";
import type { Room } from "./room.ts";

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

/** There may be a lot of it: what is sent has room as long as the call stands, and ends where there is none. */
async function* responses(
  entries: ReturnType<Ports["history"]>,
  hold: (bytes: number) => Promise<Refusal | undefined>,
): AsyncGenerator<Encoded | Refusal> {
  let bytes = 0;
  for await (const entry of entries) {
    const message = encode(pb.HistoryResponseSchema, historyResponse(entry));
    bytes += message.length;
    if (bytes >= ROOM_BYTES) {
      const refusal = await hold(bytes);
      if (refusal) return yield refusal;
      bytes = 0;
    }
    yield message;
  }
}

/** Bytes of the past that are given room together. */
const ROOM_BYTES = 1 << 20;

/** `DiscoveryService`: the map as it is, as it was, and as it changes. */
import type * as grpc from "@grpc/grpc-js";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { anonymous } from "../app/caller.ts";
import { NO_REVISION, parseRevision } from "../domain/names.ts";
import { isRefusal, type Refusal } from "../domain/refusal.ts";
import type { Update } from "../domain/update.ts";
import type { GetMapRequest } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { refuseUnknown, scopeOf } from "./decode.ts";
import { encodeUpdate, sizeOf } from "./encode.ts";
import { streaming } from "./grpc_calls.ts";
import type { Ports, Standing } from "./ports.ts";
import type { Room } from "./room.ts";
import { Violations } from "./violations.ts";
import { type WatchCall, WatchSession } from "./grpc_watch.ts";

/** `streams` holds the watches that stand. */
export function discoveryHandlers(
  ports: Ports,
  room: Room,
  streams: Set<Standing>,
): grpc.UntypedServiceImplementation {
  return {
    getMap: streaming(ports, async (request: GetMapRequest, signal, peer) => {
      const update = await readMap(ports, request, signal);
      if (isRefusal(update)) return update;
      const parts = encodeUpdate(update, 0);
      return await room.hold(peer, sizeOf(parts), signal) ?? parts;
    }),
    watch: (call: WatchCall) => {
      const session = new WatchSession(call, ports, room);
      streams.add(session);
      session.ended.addEventListener("abort", () => streams.delete(session), { once: true });
    },
  };
}

async function readMap({ reading }: Ports, request: GetMapRequest, signal: AbortSignal): Promise<Update | Refusal> {
  const scope = refuseUnknown(request) ?? scopeOf(request.scope);
  if (isRefusal(scope)) return scope;
  const fields = new Violations();
  const minRevision = fields.take("minRevision", parseRevision(request.minRevision));
  const at = fields.take("atRevision", parseRevision(request.atRevision));
  const past = request.atTime !== undefined || at !== NO_REVISION;
  if (past && minRevision !== NO_REVISION) fields.add("minRevision", "expected without atRevision and atTime");
  if (request.atTime && at !== NO_REVISION) fields.add("atTime", "expected without atRevision");
  const { revision: newest } = reading.position();
  if (at > newest) fields.add("atRevision", `expected at most ${newest}, the newest one here`);
  const time = request.atTime && timestampMs(request.atTime);
  if (time !== undefined && Number.isNaN(new Date(time).getTime())) {
    fields.add("atTime", "expected a time of a calendar");
  }
  const refusal = fields.refusal();
  if (refusal) return refusal;
  if (time !== undefined) return await reading.readAt(scope, { time }, signal);
  if (at !== NO_REVISION) return await reading.readAt(scope, { revision: at }, signal);
  return await reading.read(anonymous(signal), scope, minRevision);
}

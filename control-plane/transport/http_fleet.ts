/** Who follows the map, over HTTP. */
import { toJsonString } from "@bufbuild/protobuf";
import { Invalid, parseRealm } from "../domain/names.ts";
import { invalid } from "../domain/refusal.ts";
import { ListFollowersResponseSchema } from "../../proto/gen/portolan/v1/fleet_pb.ts";
import { followersResponse } from "./fleet.ts";
import { jsonResponse, refuseUnknownQuery, type Routes } from "./http_common.ts";
import type { Ports } from "./ports.ts";
import { formatPosition } from "./decode.ts";

export function fleetRoutes({ operations, followers }: Ports): Routes {
  return {
    "/api/v1/realms/:realm/followers": {
      GET: (context) => {
        const realm = parseRealm(context.req.param("realm") ?? "");
        if (realm instanceof Invalid) return invalid([{ field: "realm", description: realm.problem }]);
        const position = operations.position();
        const response = followersResponse(position, followers.list(realm));
        const json = toJsonString(ListFollowersResponseSchema, response, { alwaysEmitImplicit: true });
        return refuseUnknownQuery(context, []) ?? jsonResponse(json, { "portolan-position": formatPosition(position) });
      },
    },
  };
}

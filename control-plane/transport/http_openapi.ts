/** The document of the HTTP API, over HTTP. */
import { jsonResponse, refuseUnknownQuery, type Routes } from "./http_common.ts";
import { openApi } from "./openapi.ts";

export function openApiRoutes(): Routes {
  let text: string | undefined;
  return {
    "/api/v1/openapi.json": {
      GET: (context) => refuseUnknownQuery(context, []) ?? jsonResponse(text ??= JSON.stringify(openApi())),
    },
  };
}

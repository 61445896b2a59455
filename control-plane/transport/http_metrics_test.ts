import assert from "node:assert/strict";
import { SILENT } from "../../proto/log.ts";
import { Exposition } from "../../proto/testing/exposition.ts";
import { openTelemetry } from "../telemetry.ts";
import { metricsRoutes } from "./http_metrics.ts";

Deno.test("GET /metrics answers all that is measured, in the text format that it says", async () => {
  await using telemetry = await openTelemetry({}, SILENT);
  telemetry.refused("register", "conflict");
  const handler = metricsRoutes({ telemetry })["/metrics"]?.["GET"];
  const response = await handler?.(undefined as never) as Response;
  assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(response.headers.get("cache-control"), "no-store");
  const labels = { operation: "register", code: "conflict" };
  assert.equal(new Exposition(await response.text()).value("portolan_refused_changes_total", labels), 1);
});

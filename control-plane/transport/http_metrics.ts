/** What the control plane measures, for Prometheus. */
import type { Telemetry } from "../app/telemetry.ts";
import type { Routes } from "./http_common.ts";

const HEADERS = { "content-type": "text/plain; version=0.0.4; charset=utf-8", "cache-control": "no-store" };

export function metricsRoutes({ telemetry }: { readonly telemetry: Telemetry }): Routes {
  return { "/metrics": { GET: () => new Response(telemetry.text(), { headers: HEADERS }) } };
}

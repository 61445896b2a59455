/** The sidecar's own HTTP: whether it is alive, ready, what it holds and runs, and how that goes. */
import { toJson } from "@bufbuild/protobuf";
import { type Context, Hono } from "hono";
import { PositionSchema, type Service, ServiceSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Measures } from "./measures.ts";
import type { AdminSources } from "./sources.ts";
import { parseStatRows } from "./stat_rows.ts";
import { notReady, stateOf } from "./state.ts";
import { statsOf } from "./stats.ts";

type Handler = (context: Context) => Response | Promise<Response>;

/** The handler of all paths. */
export function createAdmin(sources: AdminSources, measures: Measures): Hono {
  const routes: Readonly<Record<string, Handler>> = {
    "/healthz": (context) => context.text("ok\n"),
    "/readyz": (context) => {
      const reasons = notReady(sources);
      return context.json({ ready: reasons.length === 0, reasons }, reasons.length === 0 ? 200 : 503);
    },
    "/state": async (context) => context.json(await stateOf(sources)),
    "/map": (context) => context.json(mapOf(sources)),
    "/stats": (context) => stats(context, sources),
    "/metrics": async () => new Response(await measures.text(), { headers: METRICS }),
  };
  const admin = new Hono();
  for (const [path, handler] of Object.entries(routes)) {
    admin.get(path, handler);
    admin.all(path, ({ req }) => {
      const detail = `Cannot ${req.method} ${path}: expected GET, HEAD`;
      return problem(405, "Method not allowed", "UNIMPLEMENTED", detail, { allow: "GET, HEAD" });
    });
  }
  admin.notFound(({ req }) => {
    const detail = `Cannot find "${new URL(req.url).pathname}": expected ${Object.keys(routes).join(", ")}`;
    return problem(404, "Not found", "NOT_FOUND", detail);
  });
  admin.onError((error, { req }) => {
    sources.log.error("Cannot answer an HTTP request", { path: req.path, error, stack: error.stack });
    return problem(500, "Internal error", "INTERNAL", "The sidecar failed to answer: its log says why");
  });
  return admin;
}

const METRICS = { "content-type": "text/plain; version=0.0.4; charset=utf-8", "cache-control": "no-store" };

/** What is routed, and where more is routed than the map has, what is kept of an epoch before. */
function mapOf({ snapshot }: AdminSources) {
  const held = snapshot();
  const { map, kept } = held?.apart ?? { map: held?.services, kept: undefined };
  return {
    position: held ? toJson(PositionSchema, held.position, WHOLE) : null,
    services: servicesJson(map),
    kept: servicesJson(kept),
  };
}

/** Defaults written out. */
const WHOLE = { alwaysEmitImplicit: true };

function servicesJson(services: ReadonlyMap<string, Service> = new Map()) {
  return [...services.values()]
    .sort((a, b) => a.name < b.name ? -1 : 1)
    .map((service) => toJson(ServiceSchema, service, WHOLE));
}

async function stats(context: Context, { realm, reconciler, haproxy, ejecting }: AdminSources) {
  let csv: string;
  try {
    if (haproxy.workerPid === 0) throw new Error("it does not run");
    csv = await haproxy.statistics();
  } catch (error) {
    const detail = `Cannot ask HAProxy: ${(error as Error).message}`;
    return problem(503, "Unavailable", "UNAVAILABLE", detail);
  }
  const running = {
    ...reconciler.routed,
    isEjected: (service: string, instance: string) => ejecting.isEjected(service, instance),
  };
  return context.json({ realm, workerPid: haproxy.workerPid, ...statsOf(parseStatRows(csv), running) });
}

function problem(status: number, title: string, code: string, detail: string, headers: Record<string, string> = {}) {
  const body = { type: "about:blank", title, status, detail, code };
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/problem+json", ...headers },
  });
}

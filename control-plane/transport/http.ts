/** The contract over HTTP: `/api/v1/realms/{realm}/…`, problems as RFC 9457 has them, `/healthz`, `/readyz`. */
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { isRefusal, refuse } from "../domain/refusal.ts";
import { type Address, formatAddress } from "../../proto/settings.ts";
import { answer, type HttpPorts, problemResponse, type Routes, VERB } from "./http_common.ts";
import { fleetRoutes } from "./http_fleet.ts";
import { readRoutes } from "./http_read.ts";
import { registryRoutes } from "./http_registry.ts";
import { internalProblem } from "./status.ts";

/** A server that listens. Disposing ends watches and lets other requests finish. */
export interface HttpServer extends AsyncDisposable {
  readonly address: Address;
}

const MAX_BODY_BYTES = 1 << 20;
const BODY_TOO_LARGE = refuse("too_large", `Cannot take the body: it is larger than ${MAX_BODY_BYTES} bytes`, [
  { field: "body", description: `expected at most ${MAX_BODY_BYTES} bytes` },
]);

export function serveHttp(ports: HttpPorts, address: Address): HttpServer {
  const stopping = new AbortController();
  const app = httpApp(ports, stopping.signal);
  const { host: hostname, port } = address;
  const server = listen({ hostname, port, onListen: () => {} }, app.fetch);
  return {
    address: { host: address.host, port: server.addr.port },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await server.shutdown();
    },
  };
}

/** The application without a listener. Watches end when `stopping` aborts. */
export function httpApp(ports: HttpPorts, stopping: AbortSignal): Hono {
  const app = new Hono({ getPath: (request) => new URL(request.url).pathname.replace(/:([a-z]+)$/, `${VERB}$1`) });
  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES, onError: () => answer(BODY_TOO_LARGE) }));
  add(app, merged([readRoutes(ports, stopping), registryRoutes(ports), fleetRoutes(ports)]));
  app.get("/healthz", (context) => context.json({ status: "alive" }));
  app.get("/readyz", (context) => {
    const reasons = ports.discovery.problems();
    return context.json({ ready: reasons.length === 0, reasons }, reasons.length === 0 ? 200 : 503);
  });
  app.notFound(({ req }) => answer(refuse("not_found", `Cannot find "${new URL(req.url).pathname}": no such path`)));
  app.onError((error, context) => {
    ports.log.error("Cannot answer an HTTP request", { path: context.req.path, error, stack: error.stack });
    return problemResponse(internalProblem());
  });
  return app;
}

function listen(options: Deno.ServeTcpOptions, handler: (request: Request) => Response | Promise<Response>) {
  try {
    return Deno.serve(options, handler);
  } catch (error) {
    const where = formatAddress({ host: options.hostname ?? "", port: options.port ?? 0 });
    throw new Error(`Cannot listen on ${where} for HTTP: ${(error as Error).message}`);
  }
}

/** Methods of one path may come from several files. */
function merged(parts: readonly Routes[]): Routes {
  const all: Record<string, Routes[string]> = {};
  for (const [path, methods] of parts.flatMap((part) => Object.entries(part))) {
    all[path] = { ...all[path], ...methods };
  }
  return all;
}

function add(app: Hono, routes: Routes): void {
  for (const [path, methods] of Object.entries(routes)) {
    for (const [method, handler] of Object.entries(methods)) {
      app.on(method, path, async (context) => {
        const outcome = await handler(context);
        return isRefusal(outcome) ? answer(outcome) : outcome;
      });
    }
    const allow = Object.keys(methods).flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method]).join(", ");
    app.all(path, ({ req }) => {
      const detail = `Cannot ${req.method} ${new URL(req.url).pathname}: expected ${allow}`;
      const body = { type: "about:blank", title: "Method not allowed", status: 405, detail, code: "UNIMPLEMENTED" };
      return problemResponse({ status: 405, body: { ...body, violations: [] } }, { allow });
    });
  }
}

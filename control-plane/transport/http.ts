/** The contract over HTTP: `/api/v1/realms/{realm}/…`, problems as RFC 9457 has them, `/healthz`, `/readyz`. */
import { Hono } from "hono";
import { invalid, isRefusal, refuse } from "../domain/refusal.ts";
import type { Address } from "../../proto/settings.ts";
import { sleep } from "../../proto/sleep.ts";
import { listen } from "./http_listen.ts";
import { LateBody } from "./http_body.ts";
import { answer, type Bindings, type Routes, VERB } from "./http_common.ts";
import { backupRoutes } from "./http_backup.ts";
import { fleetRoutes } from "./http_fleet.ts";
import { metricsRoutes } from "./http_metrics.ts";
import { measuredHttp } from "./measured.ts";
import { openApiRoutes } from "./http_openapi.ts";
import { readRoutes } from "./http_read.ts";
import { registryRoutes } from "./http_registry.ts";
import { INTERNAL } from "./status.ts";
import { type Ports, STOP_MS } from "./ports.ts";

/** A server that listens. Disposing ends watches and gives other requests some time to finish. */
export interface HttpServer extends AsyncDisposable {
  readonly address: Address;
}

const BODY_LATE = {
  code: "late",
  message: "Cannot wait for the rest of the body: it comes too slowly",
} as const;
const BAD_HOST = invalid([{ field: "Host", description: "expected a host, and a port if need be" }]);

/** `more` is for tests that cannot wait for so long. */
export function serveHttp(ports: Ports, address: Address, more: Pick<Bindings, "bodies"> = {}): HttpServer {
  const stopping = new AbortController();
  const app = httpApp(ports, stopping.signal);
  const listener = listen(address, ports.log, (request, { remoteAddr }) => {
    // A request's URL begins with this header, whatever is in it: it must not say anything of the path.
    const host = request.headers.get("host") ?? "";
    if (/[/\\?#@]/.test(host) || !URL.canParse(request.url)) return answer(BAD_HOST);
    const peer = remoteAddr.hostname;
    if (UNCOUNTED.test(request.url)) return app.fetch(request);
    return counted(ports, peer, () => app.fetch(request, { peer, ...more } satisfies Bindings));
  });
  return {
    address: listener.address,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      const finished = new AbortController();
      // Readers that do not read, and bodies that never end, are left to the end of the process.
      await Promise.race([listener.shutdown(), sleep(STOP_MS, finished.signal)]);
      finished.abort();
    },
  };
}

/** Who looks after this server asks for these, whatever else comes from the same address. */
const UNCOUNTED = /^[^/]*\/\/[^/]*\/(?:healthz|readyz|metrics)$/;

/** Nobody has more requests under way than is fair. */
async function counted(
  { requests }: Ports,
  peer: string,
  handle: () => Response | Promise<Response>,
): Promise<Response> {
  const turn = requests.take(peer);
  if (isRefusal(turn)) return answer(turn);
  try {
    return await handle();
  } finally {
    turn[Symbol.dispose]();
  }
}

/** The application without a listener. Watches end when `stopping` aborts. */
export function httpApp(ports: Ports, stopping: AbortSignal): Hono {
  const app = new Hono({ getPath });
  app.use(measuredHttp(ports.telemetry));
  add(app, routes(ports, stopping));
  app.notFound(({ req }) => answer(refuse("not_found", `Cannot find "${new URL(req.url).pathname}": no such path`)));
  app.onError((error, context) => {
    if (error instanceof LateBody) return answer(BODY_LATE);
    ports.log.error("Cannot answer an HTTP request", { path: context.req.path, error, stack: error.stack });
    return answer(INTERNAL);
  });
  return app;
}

/** All that is served, by path. */
export function routes(ports: Ports, stopping: AbortSignal): Routes {
  return merged([
    readRoutes(ports, stopping),
    registryRoutes(ports),
    fleetRoutes(ports, stopping),
    backupRoutes(ports),
    metricsRoutes(ports),
    openApiRoutes(),
    healthRoutes(ports),
  ]);
}

/** Verbs are of the contract, served yet or not, or come with POST; any other colon is part of a name, and no name. */
function getPath({ method, url }: Request): string {
  const verb = method === "POST" ? /:([a-z]+)$/ : /:(enable|disable|drain|renew|release)$/;
  return new URL(url).pathname.replace(verb, `${VERB}$1`);
}

function healthRoutes({ reading }: Ports): Routes {
  return {
    "/healthz": { GET: (context) => context.json({ status: "alive" }) },
    "/readyz": {
      GET: (context) => {
        const reasons = reading.problems();
        return context.json({ ready: reasons.length === 0, reasons }, reasons.length === 0 ? 200 : 503);
      },
    },
  };
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
        if (isRefusal(outcome)) return answer(outcome);
        // hono drops the body of what answers HEAD as it is: nobody else ends a stream.
        if (context.req.method === "HEAD") await outcome.body?.cancel();
        return outcome;
      });
    }
    const allow = Object.keys(methods).flatMap((method) => method === "GET" ? ["GET", "HEAD"] : [method]).join(", ");
    app.all(path, ({ req }) => {
      const message = `Cannot ${req.method} ${new URL(req.url).pathname}: expected ${allow}`;
      return answer({ code: "method", message }, { allow });
    });
  }
}

/** The contract over HTTP: `/api/v1/realms/{realm}/…`, problems as RFC 9457 has them, `/healthz`, `/readyz`. */
import { Hono, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { invalid, isRefusal, refuse } from "../domain/refusal.ts";
import { type Address, formatAddress } from "../../proto/settings.ts";
import { sleep } from "../../proto/sleep.ts";
import { answer, type Routes, VERB } from "./http_common.ts";
import { fleetRoutes } from "./http_fleet.ts";
import { readRoutes } from "./http_read.ts";
import { registryRoutes } from "./http_registry.ts";
import { INTERNAL } from "./status.ts";
import { type Ports, STOP_MS } from "./ports.ts";
import { MAX_REQUEST_BYTES } from "./decode.ts";

/** A server that listens. Disposing ends watches and gives other requests some time to finish. */
export interface HttpServer extends AsyncDisposable {
  readonly address: Address;
}

const BODY_TOO_LARGE = refuse("too_large", `Cannot take the body: it is larger than ${MAX_REQUEST_BYTES} bytes`, [
  { field: "body", description: `expected at most ${MAX_REQUEST_BYTES} bytes` },
]);

const BODY_CUT = invalid([{ field: "body", description: "expected all of it: the connection ended before" }]);
const BAD_HOST = invalid([{ field: "Host", description: "expected a host, and a port if need be" }]);

export function serveHttp(ports: Ports, address: Address): HttpServer {
  const stopping = new AbortController();
  const app = httpApp(ports, stopping.signal);
  const { host: hostname, port } = address;
  const server = listen({ hostname, port, onListen: () => {} }, (request) => {
    // A request's URL begins with this header, whatever is in it: it must not say anything of the path.
    const host = request.headers.get("host") ?? "";
    return /[/\\?#@]/.test(host) || !URL.canParse(request.url) ? answer(BAD_HOST) : app.fetch(request);
  });
  return {
    address: { host: address.host, port: server.addr.port },
    async [Symbol.asyncDispose]() {
      stopping.abort();
      const finished = new AbortController();
      // Readers that do not read, and bodies that never end, are left to the end of the process.
      await Promise.race([server.shutdown(), sleep(STOP_MS, finished.signal)]);
      finished.abort();
    },
  };
}

/** The application without a listener. Watches end when `stopping` aborts. */
export function httpApp(ports: Ports, stopping: AbortSignal): Hono {
  const app = new Hono({ getPath });
  app.use(limitBody());
  add(app, merged([readRoutes(ports, stopping), registryRoutes(ports), fleetRoutes(ports), healthRoutes(ports)]));
  app.notFound(({ req }) => answer(refuse("not_found", `Cannot find "${new URL(req.url).pathname}": no such path`)));
  app.onError((error, context) => {
    // Its client has gone, or has said all that it will.
    if (error instanceof Deno.errors.BadResource) return answer(BODY_CUT);
    ports.log.error("Cannot answer an HTTP request", { path: context.req.path, error, stack: error.stack });
    return answer(INTERNAL);
  });
  return app;
}

/** hono's own limit opens every body as a stream, which costs more than all else here: only where no length is told. */
function limitBody(): MiddlewareHandler {
  const limit = bodyLimit({ maxSize: MAX_REQUEST_BYTES, onError: () => answer(BODY_TOO_LARGE) });
  return async (context, next) => {
    const { headers } = context.req.raw;
    const length = headers.get("content-length");
    if (length === null || headers.has("transfer-encoding")) return await limit(context, next);
    return Number(length) > MAX_REQUEST_BYTES ? answer(BODY_TOO_LARGE) : await next();
  };
}

/** Verbs are of the contract, served yet or not, or come with POST; any other colon is part of a name, and no name. */
function getPath({ method, url }: Request): string {
  const verb = method === "POST" ? /:([a-z]+)$/ : /:(enable|disable|drain|renew)$/;
  return new URL(url).pathname.replace(verb, `${VERB}$1`);
}

function healthRoutes({ operations }: Ports): Routes {
  return {
    "/healthz": { GET: (context) => context.json({ status: "alive" }) },
    "/readyz": {
      GET: (context) => {
        const reasons = operations.problems();
        return context.json({ ready: reasons.length === 0, reasons }, reasons.length === 0 ? 200 : 503);
      },
    },
  };
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
      const message = `Cannot ${req.method} ${new URL(req.url).pathname}: expected ${allow}`;
      return answer({ code: "method", message }, { allow });
    });
  }
}

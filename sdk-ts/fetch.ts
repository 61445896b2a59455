import process from "node:process";
import { type Address, isServiceUrl, parseAddress } from "./address.ts";
import { takeBody } from "./body.ts";
import { unshared } from "./platform.ts";
import { leaves, MOST_REDIRECTS, redirect } from "./redirect.ts";
import { ServiceResponse } from "./response.ts";

export interface FetchOptions {
  /** `http://host:port` of the sidecar's egress; default `PORTOLAN_SIDECAR`, else http://127.0.0.1:7410. */
  readonly sidecar?: string;
  /** Default `PORTOLAN_REALM`; without either the sidecar's own realm. The sidecar refuses another one. */
  readonly realm?: string;
  /** For the whole call, redirects and the response's body included, in ms; the services called hear what is left. */
  readonly timeoutMs?: number;
}

/**
 * A `fetch` that also understands `service://…`: such a call goes to the service of that name, through the sidecar, in
 * one attempt. Everything else is the platform's. A bad address throws a TypeError, as fetch does.
 */
export function createFetch(options: FetchOptions = {}): typeof fetch {
  const sidecar = originOf(options.sidecar ?? (process.env["PORTOLAN_SIDECAR"] || "http://127.0.0.1:7410"));
  const realm = options.realm ?? (process.env["PORTOLAN_REALM"] || undefined);
  const context: Context = { sidecar, realm, timeoutMs: options.timeoutMs };
  return async (input: RequestInfo | URL, init?: RequestInit) => {
    const url = urlOf(input);
    return isServiceUrl(url) ? await call(context, url, await initOf(input, init)) : await fetch(input, init);
  };
}

interface Context {
  readonly sidecar: string;
  readonly realm: string | undefined;
  readonly timeoutMs: number | undefined;
}

/** One call with its redirects: each hop is a call of its own, within the same deadline and flow. */
async function call(context: Context, url: string, init: RequestInit & { headers: Headers }): Promise<Response> {
  const ends = context.timeoutMs === undefined ? undefined : performance.now() + context.timeoutMs;
  const signal = ends === undefined ? init.signal : withTimeout(init.signal, context.timeoutMs as number);
  if (!init.headers.get("portolan-flow")) init.headers.set("portolan-flow", crypto.randomUUID());
  let request = { url, init: signal ? { ...init, signal } : init };
  for (let hops = 0; hops <= MOST_REDIRECTS; hops++) {
    const address = parseAddress(request.url);
    if (address.kind === "refused") throw new TypeError(address.reason);
    const response = await attempt(context, address, request.init, ends, hops > 0);
    const next = redirect(request, response, context.sidecar);
    if (!next) return response;
    await response.body?.cancel();
    // From here on it is the platform's affair; nothing of ours is told to strangers.
    if (!isServiceUrl(next.url)) return fetch(next.url, leaves(next.init));
    request = next;
  }
  throw new TypeError(`Cannot call "${url}": more than ${MOST_REDIRECTS} redirects`);
}

/** One request to the sidecar; the headers are those of docs/reference.md. */
async function attempt(
  { sidecar, realm }: Context,
  address: Address,
  init: RequestInit & { headers: Headers },
  ends: number | undefined,
  redirected: boolean,
): Promise<ServiceResponse> {
  const headers = new Headers(init.headers);
  for (const name of ["realm", "attempt", "timeout-ms"]) headers.delete(`portolan-${name}`);
  headers.set("portolan-service", address.route);
  headers.set("portolan-call", crypto.randomUUID());
  if (realm !== undefined) headers.set("portolan-realm", realm);
  if (ends !== undefined) headers.set("portolan-timeout-ms", String(Math.max(1, Math.floor(ends - performance.now()))));

  const connection = IDEMPOTENT.has((init.method ?? "GET").toUpperCase()) ? {} : unshared();
  try {
    const response = await fetch(sidecar + carried(address.rest), {
      ...init,
      headers,
      redirect: "manual",
      ...connection,
    });
    const { pathname, search } = new URL(response.url);
    return new ServiceResponse(response, `service://${address.route}${pathname}${search}`, redirected);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const what = `Cannot call "service://${address.route}${address.rest}" through the sidecar at ${sidecar}`;
    throw new TypeError(`${what}: ${error.message}`, { cause: error });
  }
}

/** RFC 9110 §9.2.2: what may arrive twice without harm. */
const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

/** A backslash is part of a path here; in a URL of http it would be taken for a slash. */
function carried(rest: string): string {
  const [, path = "", more = ""] = /^([^?#]*)(.*)$/s.exec(rest) ?? [];
  return path.replaceAll("\\", "%5C") + more;
}

function originOf(sidecar: string): string {
  const url = URL.canParse(sidecar) ? new URL(sidecar) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.pathname + url.search + url.hash === "/") return url.origin;
  throw new TypeError(`Cannot use sidecar "${sidecar}": expected http://host:port`);
}

/** The URL as it was written; fetch takes no notice of spaces and controls around it. */
function urlOf(input: RequestInfo | URL): string {
  return (input instanceof Request ? input.url : String(input)).replace(/^[\0- ]+|[\0- ]+$/g, "");
}

/** What `new Request(input, init)` would hold; `init` wins field by field. */
async function initOf(input: RequestInfo | URL, init: RequestInit = {}): Promise<RequestInit & { headers: Headers }> {
  if (!(input instanceof Request)) return { ...init, headers: new Headers(init.headers) };
  const body = init.body === undefined && input.body ? { body: await takeBody(input.body) } : {};
  return {
    method: input.method,
    redirect: input.redirect,
    signal: input.signal,
    ...body,
    ...init,
    headers: new Headers(init.headers ?? input.headers),
  };
}

function withTimeout(signal: AbortSignal | null | undefined, ms: number): AbortSignal {
  const timeout = AbortSignal.timeout(ms);
  return signal ? AbortSignal.any([signal, timeout]) : timeout;
}

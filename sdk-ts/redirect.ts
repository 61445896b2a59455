import { isServiceUrl } from "./address.ts";

/** As many as fetch follows. */
export const MOST_REDIRECTS = 20;

/** One hop of a call. */
export interface Hop {
  readonly url: string;
  readonly init: RequestInit & { headers: Headers };
}

const BODY_HEADERS = ["content-encoding", "content-language", "content-length", "content-location", "content-type"];

/**
 * Where a response sends its caller, by the rules of Fetch ("HTTP-redirect fetch"), with `service://…` as the base: a
 * relative Location stays with the service, and so does one that names the sidecar, the host that the service was
 * called by. `undefined`: the response is the answer. Throws a TypeError where fetch does.
 */
export function redirect({ url, init }: Hop, response: Response, sidecar: string): Hop | undefined {
  const location = response.headers.get("location");
  if (![301, 302, 303, 307, 308].includes(response.status) || init.redirect === "manual") return undefined;
  if (init.redirect === "error") throw new TypeError(`Cannot call "${url}": it answers with a redirect`);
  if (location === null) return undefined;
  const next = target(location, url, sidecar);
  if (next === undefined) throw new TypeError(`Cannot follow the redirect of "${url}" to "${location}"`);

  const method = (init.method ?? "GET").toUpperCase();
  const toGet = response.status === 303
    ? !["GET", "HEAD"].includes(method)
    : response.status < 303 && method === "POST";
  if (!toGet && init.body instanceof ReadableStream) {
    throw new TypeError(`Cannot follow the redirect of "${url}" to "${location}": the body cannot be sent again`);
  }
  const headers = new Headers(init.headers);
  if (toGet) { for (const name of BODY_HEADERS) headers.delete(name); }
  if (!sameHost(url, next)) { for (const name of ["authorization", "cookie"]) headers.delete(name); }
  const { body: _, ...bodiless } = init;
  return { url: next, init: toGet ? { ...bodiless, method: "GET", headers } : { ...init, headers } };
}

/** What a stranger is told: none of our headers. */
export function leaves(init: Hop["init"]): RequestInit {
  const headers = new Headers(init.headers);
  for (const name of [...headers.keys()]) if (name.startsWith("portolan-")) headers.delete(name);
  return { ...init, headers };
}

function target(location: string, base: string, sidecar: string): string | undefined {
  const url = URL.canParse(location, base) ? new URL(location, base) : undefined;
  if (!url) return undefined;
  if (url.origin === sidecar) return `service://${new URL(base).host}${url.pathname}${url.search}${url.hash}`;
  return isServiceUrl(url.href) || /^https?:$/.test(url.protocol) ? url.href : undefined;
}

// Services have no origin in the sense of URL: "null" for all of them.
function sameHost(a: string, b: string): boolean {
  return new URL(a).protocol === new URL(b).protocol && new URL(a).host === new URL(b).host;
}

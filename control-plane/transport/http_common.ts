/** What the routes of all resources share: their shape, their responses, what they take from a request. */
import type { Context } from "hono";
import type { Quota } from "../app/quota.ts";
import { invalid, type Refusal } from "../domain/refusal.ts";
import type { Patience } from "./patience.ts";
import { type Failure, problem } from "./status.ts";

/** What answers a method of a path: a response, or why there is none. */
export type Handler = (context: Context) => Response | Refusal | Promise<Response | Refusal>;

/**
 * What stands before a verb in a path as it is routed: `…/{id}:enable` is `…/{id}/ enable` here. No path of a request
 * holds a space.
 */
export const VERB = "/ ";

/** Handlers by path, then by method. */
export type Routes = Readonly<Record<string, Readonly<Record<string, Handler>>>>;

/** What a request comes with beside itself: the address at its other end. */
export type Bindings = {
  readonly peer: string;
  /** How long its body may take. */
  readonly bodies?: Patience;
};

/** One more of something for who asks, until it is disposed. */
export function placeIn(quota: Quota, context: Context): Disposable | Refusal {
  return quota.take((context.env as Bindings).peer);
}

/** Goes with 429: when to come again, in seconds. */
const RETRY = { "retry-after": "1" };

/** A failure as a response. */
export function answer(failure: Failure, headers: Record<string, string> = {}): Response {
  const body = problem(failure);
  const own = { "content-type": "application/problem+json", ...(failure.code === "too_many" && RETRY) };
  return new Response(JSON.stringify(body), { status: body.status, headers: { ...own, ...headers } });
}

/** A JSON text as a response. */
export function jsonResponse(json: string, headers: Record<string, string> = {}): Response {
  return new Response(json, { headers: { "content-type": "application/json", ...headers } });
}

/** Refuses query parameters that the resource does not know: a misspelt one would change what is answered. */
export function refuseUnknownQuery(context: Context, known: readonly string[]): Refusal | undefined {
  if (!context.req.url.includes("?")) return undefined;
  const unknown = Object.keys(context.req.queries()).filter((name) => !known.includes(name));
  if (unknown.length === 0) return undefined;
  return invalid(
    unknown.map((field) => ({ field, description: `expected one of ${known.join(", ") || "no parameters"}` })),
  );
}

/** A revision as an ETag. */
export function etag(revision: bigint): string {
  return `"${revision}"`;
}

/** Reason and operation of a write; its condition is the affair of the resource. */
export function writeOptions(context: Context): { reason: string; operationId: string } {
  const header = (name: string) => utf8(context.req.header(name) ?? "");
  return { reason: header("portolan-reason"), operationId: header("portolan-operation-id") };
}

/** A header's bytes as the text that most senders mean: they come as one character each. */
function utf8(header: string): string {
  // Nearly always nothing, or nothing but ASCII.
  // deno-lint-ignore no-control-regex -- all of ASCII is meant
  if (/^[\x00-\x7f]*$/.test(header)) return header;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(header, (byte) => byte.charCodeAt(0)));
  } catch {
    return header;
  }
}

/** Refuses conditions where there is no one resource that they could be about. */
export function refuseConditions(context: Context): Refusal | undefined {
  const headers = ["If-Match", "If-None-Match"].filter((name) => context.req.header(name) !== undefined);
  if (headers.length === 0) return undefined;
  return invalid(headers.map((field) => ({ field, description: "expected for one instance, service or alias only" })));
}

/** What the routes of all resources share: their shape, their responses, what they take from a request. */
import type { Context } from "hono";
import { invalid, type Refusal } from "../domain/refusal.ts";
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

/** A failure as a response. */
export function answer(failure: Failure, headers: Record<string, string> = {}): Response {
  const body = problem(failure);
  const type = { "content-type": "application/problem+json" };
  return new Response(JSON.stringify(body), { status: body.status, headers: { ...type, ...headers } });
}

/** A JSON text as a response. */
export function jsonResponse(json: string, headers: Record<string, string> = {}): Response {
  return new Response(json, { headers: { "content-type": "application/json", ...headers } });
}

/** Refuses query parameters that the resource does not know: a misspelt one would change what is answered. */
export function refuseUnknownQuery(context: Context, known: readonly string[]): Refusal | undefined {
  const unknown = Object.keys(context.req.queries()).filter((name) => !known.includes(name));
  if (unknown.length === 0) return undefined;
  return invalid(
    unknown.map((field) => ({ field, description: `expected one of ${known.join(", ") || "no parameters"}` })),
  );
}

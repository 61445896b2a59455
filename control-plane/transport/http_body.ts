/** Bodies of requests: whole, within bounds, in time. */
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { Context } from "hono";
import { invalid, isRefusal, type Refusal, refuse } from "../domain/refusal.ts";
import { MAX_REQUEST_BYTES } from "./decode.ts";
import type { Bindings } from "./http_common.ts";
import { parseJson } from "./json.ts";
import { Patience } from "./patience.ts";

/** A body has not come whole in time. */
export class LateBody extends Error {}

/** Whose room anybody may have before it comes, in bytes. */
const SMALL = 1 << 14;

/** For bodies that may take so long, in ms. */
export function bodiesWithin(ms: number): Patience {
  return new Patience(ms, () => new LateBody());
}

/** Unless {@link Bindings} say otherwise. */
const PATIENCE = bodiesWithin(10_000);

const TOO_LARGE = refuse("too_large", `Cannot take the body: it is larger than ${MAX_REQUEST_BYTES} bytes`, [
  { field: "body", description: `expected at most ${MAX_REQUEST_BYTES} bytes` },
]);
const CUT = invalid([{ field: "body", description: "expected all of it: the connection ended before" }]);

/** The body as a message of the contract. Throws {@link LateBody}. */
export async function bodyAs<M extends DescMessage>(schema: M, context: Context): Promise<MessageShape<M> | Refusal> {
  const { bodies = PATIENCE } = context.env as Partial<Bindings>;
  try {
    const bytes = await bodies.wait(read(context.req.raw));
    return isRefusal(bytes) ? bytes : parseJson(schema, bytes);
  } catch (error) {
    // Its client has gone, or has said all that it will.
    if (error instanceof Deno.errors.BadResource) return CUT;
    throw error;
  }
}

/**
 * To read a body piece by piece costs more than all else here. A whole one takes its room in memory before it comes,
 * though: only where it is told to be small.
 */
async function read(request: Request): Promise<Uint8Array | Refusal> {
  const { headers } = request;
  const length = headers.get("content-length");
  if (Number(length) > MAX_REQUEST_BYTES) return TOO_LARGE;
  const isSmall = length !== null && Number(length) <= SMALL && !headers.has("transfer-encoding");
  return isSmall ? new Uint8Array(await request.arrayBuffer()) : await readPieces(request.body);
}

async function readPieces(body: Request["body"]): Promise<Uint8Array | Refusal> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  // Iterating would let go of the body in the end, which costs more than all of this.
  const reader = body?.getReader();
  for (let piece; (piece = (await reader?.read())?.value);) {
    size += piece.length;
    if (size > MAX_REQUEST_BYTES) return TOO_LARGE;
    pieces.push(piece);
  }
  return Buffer.concat(pieces, size);
}

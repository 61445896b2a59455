/** Long answers over HTTP: sent as their readers take them, who have a place among the requests as long as that takes. */
import type { Context } from "hono";
import type { Quota } from "../app/quota.ts";
import { isRefusal, type Refusal } from "../domain/refusal.ts";
import { jsonResponse, placeIn } from "./http_common.ts";

/** What is shorter, in characters, is handed over whole. */
export const PIECE = 1 << 16;

/** A JSON text in pieces, each but the last of {@link PIECE} characters or more. */
export function longJson(
  requests: Quota,
  context: Context,
  pieces: Iterator<string, undefined>,
  headers: Record<string, string>,
): Response | Refusal {
  const first = pieces.next().value ?? "";
  if (first.length < PIECE) return jsonResponse(first, headers);
  const place = placeIn(requests, context);
  if (isRefusal(place)) return place;
  const body = holding(place, ReadableStream.from(utf8(first, pieces)));
  return new Response(body, { headers: { "content-type": "application/json", ...headers } });
}

/** A text in pieces. */
export function* sliced(text: string): Generator<string, undefined> {
  for (let from = 0; from < text.length || from === 0;) {
    let to = from + PIECE;
    // Both halves of a character beyond 16 bits are of one piece.
    if (isHighSurrogate(text.charCodeAt(to - 1))) to++;
    yield text.slice(from, to);
    from = to;
  }
}

/** A stream whose reader has `place` until it ends. */
export function holding(place: Disposable, body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        place[Symbol.dispose]();
        controller.close();
      } catch (error) {
        place[Symbol.dispose]();
        throw error;
      }
    },
    async cancel(reason) {
      place[Symbol.dispose]();
      await reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}

function* utf8(first: string, others: Iterator<string, undefined>): Generator<Uint8Array> {
  const encoder = new TextEncoder();
  for (let piece: string | undefined = first; piece !== undefined; piece = others.next().value) {
    yield encoder.encode(piece);
  }
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

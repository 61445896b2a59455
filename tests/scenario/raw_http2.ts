/** Frames of HTTP/2 as bytes, for clients that do what no library does. */

const encoder = new TextEncoder();

/** What a connection begins with: the preface, and settings that say nothing. */
export const OPENING = joined([encoder.encode("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, 0, 0)]);

/** Begins a stream; streams of clients have odd numbers. `more` are further headers. */
export function headers(stream: number, path: string, more: readonly (readonly [string, string])[] = []): Uint8Array {
  const fields = [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "a"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ...more,
  ] as const;
  // Each as a literal that is not indexed, nothing compressed.
  const block = joined(fields.map(([name, value]) => joined([Uint8Array.of(0), text(name), text(value)])));
  const pieces: Uint8Array[] = [];
  for (let from = 0; from === 0 || from < block.length; from += MOST) {
    const isLast = from + MOST >= block.length;
    pieces.push(frame(from === 0 ? 1 : 9, isLast ? 4 : 0, stream, block.subarray(from, from + MOST)));
  }
  return joined(pieces);
}

/** One message of gRPC; the last one ends the client's side of the stream. */
export function message(stream: number, bytes: Uint8Array, isLast = false): Uint8Array {
  const prefix = new Uint8Array(5);
  new DataView(prefix.buffer).setUint32(1, bytes.length);
  return frame(0, isLast ? 1 : 0, stream, joined([prefix, bytes]));
}

/** Gives a stream up. */
export function reset(stream: number): Uint8Array {
  return frame(3, 0, stream, Uint8Array.of(0, 0, 0, 8));
}

export function ping(): Uint8Array {
  return frame(6, 0, 0, new Uint8Array(8));
}

export function settings(): Uint8Array {
  return frame(4, 0, 0, Uint8Array.of(0, 4, 0, 1, 0, 0));
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

/** Of one frame, without an agreement on more. */
const MOST = 16_384;

function frame(type: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array()): Uint8Array {
  const head = new Uint8Array(9);
  const view = new DataView(head.buffer);
  view.setUint32(0, payload.length << 8 | type);
  view.setUint8(4, flags);
  view.setUint32(5, stream);
  return joined([head, payload]);
}

/** A text with its length before it. */
function text(value: string): Uint8Array {
  const bytes = encoder.encode(value);
  if (bytes.length < 127) return joined([Uint8Array.of(bytes.length), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest = Math.floor(rest / 128)) length.push(rest % 128 + 128);
  return joined([Uint8Array.of(...length, rest), bytes]);
}

/** xxHash32 with seed 0, of the text's UTF-8 bytes: HAProxy's converter `xxh32` gives the same number. 0 to 2^32 - 1. */
export function hash32(text: string): number {
  const bytes = utf8.encode(text);
  const { length } = bytes;
  const word = (at: number) =>
    (bytes[at] ?? 0) | (bytes[at + 1] ?? 0) << 8 | (bytes[at + 2] ?? 0) << 16 | (bytes[at + 3] ?? 0) << 24;
  let at = 0;
  let hash: number;
  if (length < 16) {
    hash = P5;
  } else {
    let [a, b, c, d] = [(P1 + P2) | 0, P2, 0, -P1 | 0];
    for (; at + 16 <= length; at += 16) {
      a = round(a, word(at));
      b = round(b, word(at + 4));
      c = round(c, word(at + 8));
      d = round(d, word(at + 12));
    }
    hash = rotl(a, 1) + rotl(b, 7) + rotl(c, 12) + rotl(d, 18);
  }
  hash = (hash + length) | 0;
  for (; at + 4 <= length; at += 4) hash = Math.imul(rotl(hash + Math.imul(word(at), P3), 17), P4);
  for (; at < length; at++) hash = Math.imul(rotl(hash + Math.imul(bytes[at] ?? 0, P5), 11), P1);
  hash = Math.imul(hash ^ hash >>> 15, P2);
  hash = Math.imul(hash ^ hash >>> 13, P3);
  return (hash ^ hash >>> 16) >>> 0;
}

/** Which ten-thousandth a key falls into on a route: 0 to 9 999. `route` is the name as callers write it. */
export function bucketOf(route: string, key: string): number {
  return Math.floor(hash32(`${route}:${key}`) * 10_000 / 2 ** 32);
}

const P1 = 0x9E3779B1 | 0;
const P2 = 0x85EBCA77 | 0;
const P3 = 0xC2B2AE3D | 0;
const P4 = 0x27D4EB2F;
const P5 = 0x165667B1;

const utf8 = new TextEncoder();

function rotl(value: number, by: number): number {
  return value << by | value >>> (32 - by);
}

function round(lane: number, word: number): number {
  return Math.imul(rotl(lane + Math.imul(word, P2), 13), P1);
}

/**
 * Headers of HTTP/2, as far as senders need them: text of one character for each byte. RFC 7541.
 * Neither side keeps a table, so each block can be read by itself.
 */

/** Each as a literal that is not indexed, nothing compressed (§6.2.2). Throws on more than 126 bytes. */
export function block(headers: readonly (readonly [name: string, value: string])[]): string {
  return headers.map(([name, value]) => `\0${short(name)}${short(value)}`).join("");
}

export interface AnswerHeaders {
  /** 0 where there is none, as in trailers. */
  readonly status: number;
  /** In bytes, where it is told. */
  readonly length?: number;
}

/** What a block says of an answer. */
export function answerHeaders(block: string): AnswerHeaders {
  let [status, length] = [0, undefined as number | undefined];
  for (const [index, value] of fields(block)) {
    if (index >= FIRST_STATUS && index <= LAST_STATUS) status = value ?? STATUSES[index - FIRST_STATUS] ?? 0;
    if (index === CONTENT_LENGTH) length = value;
  }
  return { status, ...(length !== undefined && { length }) };
}

/** Numbers of the static table (appendix A), and what it says of statuses. */
const FIRST_STATUS = 8;
const LAST_STATUS = 14;
const STATUSES = [200, 204, 206, 304, 400, 404, 500];
const CONTENT_LENGTH = 28;

/** Each field's name as its number in the static table, 0 where it is spelt out, and its value where it is a number. */
function* fields(block: string): Generator<readonly [index: number, value?: number]> {
  let at = 0;
  const integer = (bits: number) => {
    const most = 2 ** bits - 1;
    let value = block.charCodeAt(at++) & most;
    if (value < most) return value;
    for (let shift = 0;; shift += 7) {
      const byte = block.charCodeAt(at++);
      value += (byte & 127) << shift;
      if (!(byte & 128)) return value;
    }
  };
  const text = () => {
    const isCompressed = (block.charCodeAt(at) & 128) !== 0;
    const size = integer(7);
    const raw = block.slice(at, at += size);
    return isCompressed ? digits(raw) : raw;
  };
  while (at < block.length) {
    const first = block.charCodeAt(at);
    if (first & 128) yield [integer(7)];
    else if (first >>> 5 === 1) integer(5);
    else {
      const index = integer(first & 64 ? 6 : 4);
      if (index === 0) text();
      yield [index, Number(text())];
    }
  }
}

/** Digits that a compressed text begins with: `0` to `2` have five bits, the others six (appendix B). */
function digits(compressed: string): string {
  const bits = Array.from(compressed, (byte) => byte.charCodeAt(0).toString(2).padStart(8, "0")).join("");
  let text = "";
  for (let at = 0; at + 5 <= bits.length;) {
    const five = parseInt(bits.slice(at, at + 5), 2);
    const isSix = five > 2;
    if (isSix && (at + 6 > bits.length || five < 12 || five > 15)) return text;
    text += isSix ? parseInt(bits.slice(at, at + 6), 2) - 22 : five;
    at += isSix ? 6 : 5;
  }
  return text;
}

function short(text: string): string {
  if (text.length > 126) throw new Error(`Cannot send "${text}": expected at most 126 bytes`);
  return String.fromCharCode(text.length) + text;
}

/**
 * HTTP/2 without TLS over one connection, many requests at a time; nothing is ever sent twice. By hand, as what a
 * connection says when it ends has to be told from what a library makes of it. RFC 9113.
 */
import { answerHeaders, block } from "./hpack.ts";
import { Cut } from "./outcome.ts";
import { type Due, type Where, Wire } from "./wire.ts";

/** `again`: certainly not processed; it may be sent once more, over another connection. */
export type Http2Answer = Received | "again";

interface Received {
  /** 0 before a byte of the answer. */
  readonly status: number;
  readonly body: string;
  /** Why it is not whole. */
  readonly cut?: Cut;
}

interface Stream {
  status: number;
  length: number | undefined;
  body: string;
  readonly answer: PromiseWithResolvers<Http2Answer>;
  readonly watched: Due;
}

const DATA = 0;
const HEADERS = 1;
const RESET = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW = 8;
const ENDS_STREAM = 1;
const ACK = 1;
const ENDS_HEADERS = 4;
const REFUSED_STREAM = 7;
const CANCEL = 8;
const HEAD = 9;

export class Http2 implements Disposable {
  readonly #streams = new Map<number, Stream>();
  #next = 1;
  #last = Infinity;
  #outbox = "";
  #writing: Promise<void> | undefined;
  #cut: Cut | undefined;

  private constructor(private readonly wire: Wire, private readonly where: Where) {
    // Nothing is kept of headers, and so each can be read by itself; nothing is pushed.
    const settings = frame(SETTINGS, 0, 0, "\0\x01\0\0\0\0" + "\0\x02\0\0\0\0");
    this.#send(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${settings}`);
    this.#read();
  }

  /** Throws `Cut`. */
  static async open(where: Where): Promise<Http2> {
    // Whether anything is expected is known of streams only.
    return new Http2(await Wire.open(where, Infinity), where);
  }

  /** Whether it takes more requests, as far as is known. */
  get isUsable(): boolean {
    return this.#cut === undefined && this.#last === Infinity;
  }

  /** Sends a request with these headers, and reads its answer, whole or not. */
  ask(headers: readonly (readonly [name: string, value: string])[]): Promise<Http2Answer> {
    if (this.#cut) return Promise.resolve("again");
    const id = this.#next;
    this.#next += 2;
    const stream: Stream = {
      status: 0,
      length: undefined,
      body: "",
      answer: Promise.withResolvers(),
      watched: { deadline: performance.now() + this.where.timeoutMs, late: () => this.#late(id) },
    };
    this.#streams.set(id, stream);
    this.where.watchdog.watch(stream.watched);
    this.#send(frame(HEADERS, ENDS_HEADERS | ENDS_STREAM, id, block(headers)));
    return stream.answer.promise;
  }

  [Symbol.dispose](): void {
    this.wire[Symbol.dispose]();
  }

  /** What is to be sent at the same time goes together. */
  #send(text: string): void {
    this.#outbox += text;
    this.#writing ??= Promise.resolve().then(async () => {
      while (this.#outbox !== "") {
        const text = this.#outbox;
        this.#outbox = "";
        await this.wire.write(Buffer.from(text, "latin1"));
      }
      this.#writing = undefined;
    });
  }

  async #read(): Promise<void> {
    const { wire } = this;
    try {
      for (;;) {
        while (wire.rest.length < HEAD) await wire.more();
        const size = HEAD + (uint32At(wire.rest, 0) >>> 8);
        while (wire.rest.length < size) await wire.more();
        const [head, payload] = [wire.rest.slice(0, HEAD), wire.rest.slice(HEAD, size)];
        wire.rest = wire.rest.slice(size);
        this.#take(head.charCodeAt(3), head.charCodeAt(4), uint32At(head, 5), payload);
      }
    } catch (error) {
      if (!(error instanceof Cut)) throw error;
      this.#cut = error;
      for (const [id, stream] of this.#streams) this.#end(id, stream, error);
      this[Symbol.dispose]();
    }
  }

  #take(type: number, flags: number, id: number, payload: string): void {
    if (type === SETTINGS && !(flags & ACK)) this.#send(frame(SETTINGS, ACK, 0));
    if (type === PING && !(flags & ACK)) this.#send(frame(PING, ACK, 0, payload));
    if (type === GOAWAY) this.#goAway(uint32At(payload, 0));
    const stream = this.#streams.get(id);
    if (type === DATA && payload !== "") this.#send(frame(WINDOW, 0, 0, uint32(payload.length)));
    if (!stream) return;
    if (type === DATA) stream.body += payload;
    if (type === HEADERS && stream.status === 0) Object.assign(stream, answerHeaders(payload));
    if (type === RESET) {
      const code = uint32At(payload, 0);
      this.#end(id, stream, code === REFUSED_STREAM ? "again" : new Cut("reset", `code ${code}`));
    } else if ((type === DATA || type === HEADERS) && flags & ENDS_STREAM) this.#end(id, stream, shortage(stream));
  }

  #late(id: number): void {
    const stream = this.#streams.get(id);
    if (!stream) return;
    this.#send(frame(RESET, 0, id, uint32(CANCEL)));
    this.#end(id, stream, new Cut("timeout"));
  }

  /** Streams after the last one that it names have not been processed. */
  #goAway(last: number): void {
    this.#last = last;
    for (const [id, stream] of this.#streams) if (id > last) this.#end(id, stream, "again");
    if (this.#streams.size === 0) this[Symbol.dispose]();
  }

  #end(id: number, { status, body, answer, watched }: Stream, why?: Cut | "again"): void {
    this.#streams.delete(id);
    this.where.watchdog.forget(watched);
    answer.resolve(why === "again" ? why : { status, body, ...(why && { cut: why }) });
    // After GOAWAY there are no more.
    if (this.#last < Infinity && this.#streams.size === 0) this[Symbol.dispose]();
  }
}

/** An answer that ends in order, but before all that its header promised. RFC 9113 §8.1.1. */
function shortage({ body, length = body.length }: Stream): Cut | undefined {
  return body.length === length ? undefined : new Cut("eof", `${body.length} of ${length} bytes`);
}

function frame(type: number, flags: number, stream: number, payload = ""): string {
  return uint32(payload.length << 8 | type) + String.fromCharCode(flags) + uint32(stream) + payload;
}

function uint32(value: number): string {
  return String.fromCharCode(value >>> 24, value >>> 16 & 255, value >>> 8 & 255, value & 255);
}

function uint32At(text: string, at: number): number {
  const byte = (n: number) => text.charCodeAt(at + n);
  return (byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3)) >>> 0;
}

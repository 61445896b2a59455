/** HTTP/1.1 over one connection, one request at a time; nothing is ever sent twice. */
import { Cut, type Progress } from "./outcome.ts";
import { type Where, Wire } from "./wire.ts";

const encoder = new TextEncoder();

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Text of a request, except for its body. */
export function requestText(line: string, service: string, id: number, more = ""): string {
  return `${line} HTTP/1.1\r\nHost: 127.0.0.1\r\nPortolan-Service: ${service}\r\nX-Request: ${id}\r\n${more}\r\n`;
}

export class Http1 implements Disposable {
  #answers = 0;
  #isBegun = false;
  #isOver = false;

  private constructor(readonly wire: Wire) {}

  /** Throws `Cut`. */
  static async open(where: Where): Promise<Http1> {
    return new Http1(await Wire.open(where));
  }

  /** Whether the server lets it be used once more, as far as is known. */
  get isUsable(): boolean {
    return !this.#isOver && this.wire.isQuiet;
  }

  /** There is nothing to ask for now: notices when the server ends the connection meanwhile. */
  rest(): void {
    this.wire.listen();
  }

  /** How far the request has come that was sent last. */
  get progress(): Progress {
    return { isBegun: this.#isBegun, isKept: this.#answers > 0 };
  }

  /** Sends a request and reads its answer. Throws `Cut`. */
  async ask(text: string): Promise<Answer> {
    const head = await this.head(text);
    const body = await this.#body(head);
    this.#answers++;
    this.#isOver = /\r\nconnection: *close/i.test(head);
    return { status: statusOf(head), body };
  }

  /** Sends a request and reads the head of its answer; the rest stays on the wire. Throws `Cut`. */
  async head(text: string): Promise<string> {
    this.#isBegun = false;
    await this.wire.write(encoder.encode(text));
    return await this.#take("\r\n\r\n");
  }

  [Symbol.dispose](): void {
    this.wire[Symbol.dispose]();
  }

  async #body(head: string): Promise<string> {
    const length = /\r\ncontent-length: *([0-9]+)/i.exec(head)?.[1];
    if (length !== undefined) return await this.#bytes(Number(length));
    if (!/\r\ntransfer-encoding: *chunked/i.test(head)) return await this.#all();
    for (let body = "";;) {
      const size = parseInt(await this.#take("\r\n"), 16);
      const chunk = await this.#bytes(size + 2);
      if (size === 0) return body;
      body += chunk.slice(0, -2);
    }
  }

  /** What comes until the connection ends, and so has to be looked at for whether it is whole. */
  async #all(): Promise<string> {
    try {
      for (;;) await this.#more();
    } catch (error) {
      if (error instanceof Cut && error.how === "eof") return this.#cutOff(this.wire.rest.length);
      throw error;
    }
  }

  async #take(end: string): Promise<string> {
    const { wire } = this;
    for (;;) {
      const at = wire.rest.indexOf(end);
      if (at >= 0) return this.#cutOff(at + end.length);
      await this.#more();
    }
  }

  async #bytes(count: number): Promise<string> {
    while (this.wire.rest.length < count) await this.#more();
    return this.#cutOff(count);
  }

  #cutOff(count: number): string {
    const text = this.wire.rest.slice(0, count);
    this.wire.rest = this.wire.rest.slice(count);
    return text;
  }

  async #more(): Promise<void> {
    await this.wire.more();
    this.#isBegun = true;
  }
}

/** 0 where there is none. */
export function statusOf(head: string): number {
  return Number(/^HTTP\/1\.[01] ([0-9]{3}) /.exec(head)?.[1] ?? 0);
}

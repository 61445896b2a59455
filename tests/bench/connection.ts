/** One kept HTTP/1.1 connection with one request under way: as little work in the measuring process as can be. */

export interface Answer {
  readonly status: number;
  readonly body: string;
  /** Whether the connection ends after it. */
  readonly closes: boolean;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A request as bytes. */
export function request(method: string, path: string, body = "", headers: Readonly<Record<string, string>> = {}) {
  const length = `${encoder.encode(body).length}`;
  const lines = Object.entries({ host: "localhost", ...headers, "content-length": length });
  return encoder.encode(
    `${method} ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n${body}`,
  );
}

export class Connection implements Disposable {
  readonly #buffer = new Uint8Array(65_536);

  private constructor(private readonly connection: Deno.TcpConn) {}

  static async open(port: number): Promise<Connection> {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    connection.setNoDelay();
    return new Connection(connection);
  }

  /** Sends a request and reads its answer, whose length has to be told by a header. */
  async ask(bytes: Uint8Array): Promise<Answer> {
    for (let sent = 0; sent < bytes.length;) sent += await this.connection.write(bytes.subarray(sent));
    let text = "";
    for (;;) {
      const count = await this.connection.read(this.#buffer);
      if (count === null) throw new Error(`Cannot read an answer: the connection ended after "${text}"`);
      text += decoder.decode(this.#buffer.subarray(0, count));
      const answer = parse(text);
      if (answer) return answer;
    }
  }

  /** Sends a request that has to succeed; answers with the body. */
  async must(bytes: Uint8Array): Promise<string> {
    const { status, body } = await this.ask(bytes);
    if (status !== 200) throw new Error(`Cannot go on: expected status 200, got ${status} with "${body}"`);
    return body;
  }

  [Symbol.dispose](): void {
    this.connection.close();
  }
}

// Bodies of benches are ASCII: characters are bytes.
function parse(text: string): Answer | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const head = text.slice(0, end);
  const length = Number(/\r\ncontent-length: *([0-9]+)/i.exec(head)?.[1]);
  if (Number.isNaN(length)) throw new Error(`Cannot read an answer: it says no length in "${head}"`);
  const body = text.slice(end + 4);
  if (body.length < length) return undefined;
  return { status: Number(text.slice(9, 12)), body, closes: /\r\nconnection: *close/i.test(head) };
}

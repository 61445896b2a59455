/** One kept HTTP/1.1 connection, byte by byte: no client library that sends anything twice or hides a header. */

export interface Response {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export class Caller implements Disposable {
  readonly #connection: Deno.Conn;
  readonly #buffer = new Uint8Array(65_536);
  #received = "";

  private constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  static async connect(port: number): Promise<Caller> {
    return new Caller(await Deno.connect({ port, hostname: "127.0.0.1" }));
  }

  /** Sends a GET; headers are lines, so that one can be there twice. */
  async get(path: string, ...headers: readonly string[]): Promise<Response> {
    const host = headers.some((header) => /^host:/i.test(header)) ? [] : ["Host: 127.0.0.1"];
    await this.send([`GET ${path} HTTP/1.1`, ...host, ...headers, "", ""].join("\r\n"));
    return await this.read();
  }

  /** Sends one byte for each character. */
  async send(text: string): Promise<void> {
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
  }

  async read(): Promise<Response> {
    const head = await this.#take((text) => {
      const end = text.indexOf("\r\n\r\n");
      return end < 0 ? undefined : end + 4;
    });
    const [first = "", ...lines] = head.trimEnd().split("\r\n");
    const headers = new Map(lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }));
    const length = Number(headers.get("content-length") ?? 0);
    const body = await this.#take((text) => text.length < length ? undefined : length);
    return { status: Number(first.split(" ")[1]), headers, body };
  }

  /** Reads so many bytes, one character for each. */
  take(count: number): Promise<string> {
    return this.#take((text) => text.length < count ? undefined : count);
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }

  /** Takes what has been received up to the end that `find` finds, reading more until it finds one. */
  async #take(find: (text: string) => number | undefined): Promise<string> {
    for (;;) {
      const end = find(this.#received);
      if (end !== undefined) {
        const text = this.#received.slice(0, end);
        this.#received = this.#received.slice(end);
        return text;
      }
      const count = await this.#connection.read(this.#buffer);
      if (count === null) throw new Error(`The connection ended after "${this.#received}"`);
      this.#received += String.fromCharCode(...this.#buffer.subarray(0, count));
    }
  }
}

/** One GET on a connection of its own. */
export async function get(port: number, path: string, ...headers: readonly string[]): Promise<Response> {
  using caller = await Caller.connect(port);
  return await caller.get(path, ...headers);
}

/** A connection to HAProxy that sends one request after the other and repeats nothing. */

export interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

export class Connection implements Disposable {
  #tcp: Deno.TcpConn | undefined;
  #rest: Uint8Array = new Uint8Array();

  constructor(private readonly port: number) {}

  /** Connects if need be. Throws when the answer does not come whole: it may or may not have been processed. */
  async get(headers: Readonly<Record<string, string>>, path = "/"): Promise<Answer> {
    this.#tcp ??= await Deno.connect({ hostname: "127.0.0.1", port: this.port });
    const lines = Object.entries({ host: "127.0.0.1", ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    await writeAll(this.#tcp, new TextEncoder().encode(`GET ${path} HTTP/1.1\r\n${lines.join("")}\r\n`));
    const answer = await this.#read();
    // Announced: the next request needs another connection.
    if (answer.headers.get("connection") === "close") this[Symbol.dispose]();
    return answer;
  }

  [Symbol.dispose](): void {
    this.#tcp?.close();
    this.#tcp = undefined;
    this.#rest = new Uint8Array();
  }

  async #read(): Promise<Answer> {
    const head = await this.#until(() => indexOf(this.#rest, "\r\n\r\n"));
    const [status = "", ...lines] = new TextDecoder().decode(this.#take(head + 4)).trimEnd().split("\r\n");
    const headers = new Map(lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }));
    const length = Number(headers.get("content-length") ?? NaN);
    if (!Number.isInteger(length)) throw new Error(`Cannot read the answer: no content-length in ${[...headers]}`);
    await this.#until(() => this.#rest.length >= length ? 0 : -1);
    return { status: Number(status.split(" ")[1]), headers, body: new TextDecoder().decode(this.#take(length)) };
  }

  async #until(found: () => number): Promise<number> {
    for (const buffer = new Uint8Array(4096);;) {
      const at = found();
      if (at >= 0) return at;
      const read = await this.#tcp?.read(buffer) ?? null;
      if (read === null) throw new Error(`The connection was closed after ${this.#rest.length} bytes of an answer`);
      this.#rest = concat(this.#rest, buffer.subarray(0, read));
    }
  }

  #take(length: number): Uint8Array {
    const taken = this.#rest.slice(0, length);
    this.#rest = this.#rest.slice(length);
    return taken;
  }
}

async function writeAll(tcp: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await tcp.write(bytes.subarray(at));
}

function indexOf(bytes: Uint8Array, text: string): number {
  return new TextDecoder("latin1").decode(bytes).indexOf(text);
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

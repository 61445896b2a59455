/** A way into a host's network, by a Unix socket that a program inside serves. */
export class Door implements Disposable {
  readonly #client: Deno.HttpClient;

  constructor(path: string) {
    this.#client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
  }

  /** Sends a request to a URL as the host sees it, and answers with the JSON; throws unless it succeeds. */
  async call<T>(method: string, url: string, body?: unknown): Promise<T> {
    const options = { client: this.#client, method, ...(body !== undefined && { body: JSON.stringify(body) }) };
    const response = await fetch(url, options);
    const text = await response.text();
    if (!response.ok) throw new Error(`Cannot ${method} ${url}: ${response.status} ${text}`);
    return JSON.parse(text);
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

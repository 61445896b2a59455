/** Statuses that cannot have a body (Fetch, "null body status"). */
const BODILESS: ReadonlySet<number> = new Set([101, 103, 204, 205, 304]);

/**
 * A service's response as the application sees it: with the URL that was called, and without the mark that only who
 * repeats calls acts on, so that a handler that hands the response on cannot pass it on.
 */
export class ServiceResponse extends Response {
  readonly #url: string;
  readonly #redirected: boolean;

  constructor(response: Response, url: string, redirected: boolean) {
    const { status, statusText } = response;
    const headers = new Headers(response.headers);
    headers.delete("portolan-not-processed");
    super(BODILESS.has(status) ? null : response.body, { status, statusText, headers });
    this.#url = url;
    this.#redirected = redirected;
  }

  override get url(): string {
    return this.#url;
  }

  override get redirected(): boolean {
    return this.#redirected;
  }

  override clone(): ServiceResponse {
    return new ServiceResponse(super.clone(), this.#url, this.#redirected);
  }
}

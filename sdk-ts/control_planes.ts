/** Control planes that are tried in turn. What one call learns of them, the next one knows. */
export class ControlPlanes {
  readonly #addresses: readonly string[];
  #at = 0;

  /** `host:port` of each, one at least. */
  constructor(addresses: readonly string[]) {
    this.#addresses = addresses;
  }

  /** The one to ask. */
  get current(): { readonly address: string; readonly at: number } {
    return { address: this.#addresses[this.#at] as string, at: this.#at };
  }

  /** This one did not answer, or not well. */
  failed(at: number): void {
    if (at === this.#at) this.#at = (at + 1) % this.#addresses.length;
  }
}

/** The places of calls: each is taken until its client has gone and what it asked for is done. */
import type * as grpc from "@grpc/grpc-js";

/** By what a call came with: interceptors and handlers share nothing else. */
const CALLS = new WeakMap<grpc.Metadata, Place>();

/** A call that is under way; made by what counts it. */
export class Place {
  #working = 0;
  #over = false;

  constructor(private readonly place: Disposable) {}

  /** It is handled with this. */
  begin(metadata: grpc.Metadata): void {
    CALLS.set(metadata, this);
  }

  /** It has been answered, or its client gave it up. */
  end(): void {
    this.#over = true;
    this.#leave();
  }

  /** Something is done for it, until it is disposed. */
  work(): Disposable {
    this.#working++;
    return {
      [Symbol.dispose]: () => {
        this.#working--;
        this.#leave();
      },
    };
  }

  #leave(): void {
    if (this.#over && this.#working === 0) this.place[Symbol.dispose]();
  }
}

/**
 * Keeps a call's place until it is disposed: for handlers that go on when their client has gone. Whoever asks and goes
 * would have any number of things done at once otherwise.
 */
export function keepPlace({ metadata }: { readonly metadata: grpc.Metadata }): Disposable | undefined {
  return CALLS.get(metadata)?.work();
}

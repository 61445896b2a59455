/** The services of a realm as they are now, update by update, whatever happens to the streams. */
import type { Service } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Part } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import { fold, type Held, NOTHING } from "../../sdk-ts/fold.ts";
import { openRawWatch, type RawWatch } from "./raw_watch.ts";

export type Services = ReadonlyMap<string, Service>;

export class LiveMap implements Disposable {
  readonly #grpc: string;
  readonly #realm: string;
  /** Sees every state that there was. */
  readonly #onState: (services: Services) => void;
  #held: Held = NOTHING;
  #wake: () => void = () => {};
  #watch: RawWatch | undefined;
  #over = false;

  constructor(grpc: string, realm = "local", onState: (services: Services) => void = () => {}) {
    this.#grpc = grpc;
    this.#realm = realm;
    this.#onState = onState;
    this.#run();
  }

  get services(): Services {
    return this.#held.services;
  }

  /** Resolves once the map is so; throws, saying `what` was waited for, when that takes too long. */
  async until(what: string, is: (services: Services) => boolean, withinMs: number): Promise<void> {
    const end = performance.now() + withinMs;
    while (!is(this.#held.services)) {
      const left = end - performance.now();
      if (left <= 0) throw new Error(`Expected within ${withinMs} ms: ${what}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      const late = setTimeout(resolve, left);
      this.#wake = resolve;
      await promise;
      clearTimeout(late);
    }
  }

  [Symbol.dispose](): void {
    this.#over = true;
    this.#watch?.cancel();
  }

  async #run(): Promise<void> {
    while (!this.#over) {
      const parts: Part[] = [];
      const watch = openRawWatch({
        address: this.#grpc,
        realm: this.#realm,
        onPart: (part) => {
          parts.push(part);
          if (part.last) this.#take(parts.splice(0), watch);
        },
      });
      this.#watch = watch;
      watch.subscribe(1, [], this.#held.position);
      await watch.ended;
      if (!this.#over) await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  #take(parts: readonly Part[], watch: RawWatch): void {
    const folded = fold(this.#held, parts);
    if (folded.kind === "refused") throw new Error(`Cannot fold: ${folded.reason}`);
    this.#held = folded.held;
    watch.received(folded.held.position);
    this.#onState(folded.held.services);
    this.#wake();
  }
}

/** A map that a test writes, in place of one that is followed. */
import { create } from "@bufbuild/protobuf";
import { type Position, PositionSchema, type Service } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Following, Snapshot } from "../../sdk-ts/follow.ts";

export interface Refusal {
  readonly service: string;
  readonly reason: string;
}

export class TestMap implements Omit<Following, "leave"> {
  readonly connected = true;
  readonly #services = new Map<string, Service>();
  readonly #unseen = new Set<string>();
  readonly #waiting: { readonly revision: bigint; readonly answer: PromiseWithResolvers<readonly Refusal[]> }[] = [];
  #revision = 0n;
  #seen = 0n;
  #wake: (() => void) | undefined;
  #ended = false;

  /**
   * Puts services (under another name than theirs, if one is told beside), deletes names; answers what was refused once
   * all of it is applied.
   */
  change(...changes: readonly (Service | string | readonly [name: string, Service])[]): Promise<readonly Refusal[]> {
    for (const change of changes) {
      if (typeof change === "string") this.#services.delete(change);
      const [name, service] = typeof change === "string" ? [change] : "name" in change ? [change.name, change] : change;
      this.#unseen.add(name);
      if (service) this.#services.set(name, service);
    }
    const revision = ++this.#revision;
    this.#wake?.();
    const answer = Promise.withResolvers<readonly Refusal[]>();
    this.#waiting.push({ revision, answer });
    return answer.promise;
  }

  /** Nobody applies anything any more. */
  fail(error: Error): void {
    for (const { answer } of this.#waiting.splice(0)) answer.reject(error);
  }

  applied({ revision }: Position, refused: readonly Refusal[] = []): void {
    for (let at = 0; at < this.#waiting.length;) {
      const waiting = this.#waiting[at];
      if (waiting && waiting.revision <= revision) {
        this.#waiting.splice(at, 1);
        waiting.answer.resolve(refused);
      } else at++;
    }
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Snapshot> {
    while (!this.#ended) {
      if (this.#seen === this.#revision) {
        await new Promise<void>((resolve) => this.#wake = resolve);
        continue;
      }
      this.#seen = this.#revision;
      const changed = new Set(this.#unseen);
      this.#unseen.clear();
      const position = create(PositionSchema, { epoch: 1n, revision: this.#revision });
      yield { position, services: new Map(this.#services), changed };
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#ended = true;
    this.#wake?.();
    return Promise.resolve();
  }
}

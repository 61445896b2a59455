/** Followers who are ahead of the store: it was put back to an older state, so a new epoch begins. */
import type { Position } from "../domain/cluster_map.ts";
import { isRefusal, type Refusal, refuse } from "../domain/refusal.ts";
import type { Store } from "../store/store.ts";
import { observer } from "./caller.ts";
import type { Hub } from "./hub.ts";
import type { Operations } from "./operations.ts";
import { EPOCH_KEY } from "./store_keys.ts";

export interface AheadOptions {
  readonly store: Store;
  readonly hub: Hub;
  readonly operations: Pick<Operations, "beginEpoch">;
}

export class Ahead {
  /** Only a store that was put back while this process did not run can be behind its clients: once at most. */
  #epoch: Promise<Position | Refusal> | undefined;

  constructor(private readonly options: AheadOptions) {}

  /**
   * Sees to it that a follower who is ahead of the store does not wait for ever: the store was restored from an older
   * state, so a new epoch begins. Refuses positions that nobody can have been given.
   */
  async settle(after: Position): Promise<Refusal | undefined> {
    if (!await this.#isBehind(after)) return undefined;
    const begun = await (this.#epoch ??= this.#begin(after));
    if (isRefusal(begun) && begun.code !== "invalid") return begun;
    if (!await this.#isBehind(after)) return undefined;
    const description =
      `expected a position that this control plane has answered, not ${after.epoch}.${after.revision}`;
    return refuse("invalid", `after: ${description}`, [{ field: "after", description }]);
  }

  async #begin(after: Position): Promise<Position | Refusal> {
    const { epoch, revision } = this.options.hub.current().position;
    const reason = `a follower holds ${after.epoch}.${after.revision}, the store ends at ${epoch}.${revision}`;
    let begun: Position | Refusal | undefined;
    try {
      return begun = await this.options.operations.beginEpoch(observer("control-plane", reason), after.epoch);
    } finally {
      // The next follower who is ahead tries again.
      if (!begun || isRefusal(begun)) this.#epoch = undefined;
    }
  }

  /** Whether a follower at this position is ahead of all that there is; one that is ahead of the map alone is waited for. */
  async #isBehind({ epoch, revision }: Position): Promise<boolean> {
    const { hub, store } = this.options;
    const is = hub.current().position;
    if (epoch !== is.epoch || revision <= is.revision) return epoch > is.epoch;
    if (revision > (await store.read(EPOCH_KEY)).revision) return true;
    await hub.reached(revision);
    return false;
  }
}

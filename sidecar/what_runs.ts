/** What HAProxy runs, as far as that is known. */
import type { Haproxy } from "./haproxy/haproxy.ts";
import { settled } from "./routing/assign.ts";
import { EMPTY_PLAN, type HaproxyPlan } from "./routing/plan.ts";
import type { TakenOver } from "./take_over.ts";

export class WhatRuns {
  readonly #haproxy: Pick<Haproxy, "loads">;
  /** `undefined` before it was started. */
  plan: HaproxyPlan | undefined;
  /** What is in the files: what HAProxy runs after it died. */
  #filed: HaproxyPlan = EMPTY_PLAN;
  #loads = 0;
  #unknown: string | undefined;

  /** `left` is what it runs already. */
  constructor(haproxy: Pick<Haproxy, "loads">, left?: TakenOver) {
    this.#haproxy = haproxy;
    if (!left) return;
    this.told(left.plan);
    this.#loads = haproxy.loads;
    this.#unknown = left.unknown;
  }

  get filed(): HaproxyPlan {
    return this.#filed;
  }

  /** Why what HAProxy runs is not known; only a reload mends that. */
  get unknown(): string | undefined {
    return this.#unknown;
  }

  /** It has read its files, which say `plan`. */
  loaded(plan: HaproxyPlan): void {
    this.told(settled(plan));
    this.#unknown = undefined;
    this.#loads = this.#haproxy.loads;
  }

  /** It has died and was started again: it runs what is in its files, whatever it had been told. */
  catchUp(): boolean {
    const restarted = this.#loads !== this.#haproxy.loads;
    if (restarted) this.loaded(this.#filed);
    return restarted;
  }

  /** It was told what leads to `plan`, and its files say the same. */
  told(plan: HaproxyPlan): void {
    this.plan = this.#filed = plan;
  }

  /** Its files say `plan`, and it did not do what it was told. */
  untold(plan: HaproxyPlan, why: string): void {
    this.#filed = plan;
    // Whatever it has loaded up to now may be older than these files.
    this.#loads = this.#haproxy.loads;
    this.#unknown = why;
  }
}

/** Bounds how much of one thing everybody may have at once, so that one who asks for too much takes nothing from others. */
import { type Refusal, refuse } from "../domain/refusal.ts";

export class Quota {
  readonly #used = new Map<string, number>();

  /** `what` names the thing in refusals, in the plural. */
  constructor(private readonly most: number, private readonly what: string) {}

  /** One more for `who`, until it is disposed. */
  take(who: string): Disposable | Refusal {
    const used = this.#used.get(who) ?? 0;
    if (used >= this.most) {
      return refuse("too_many", `Cannot take more ${this.what} from "${who}": ${used} are under way; try again later`);
    }
    this.#used.set(who, used + 1);
    let taken = true;
    return {
      [Symbol.dispose]: () => {
        if (!taken) return;
        taken = false;
        const left = (this.#used.get(who) ?? 1) - 1;
        if (left > 0) this.#used.set(who, left);
        else this.#used.delete(who);
      },
    };
  }
}

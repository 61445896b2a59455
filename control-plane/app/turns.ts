/** Lets a bounded number of users of one thing work at once; the others wait in the order in which they came. */
export class Turns {
  readonly #things = new Map<string, { working: number; readonly waiting: (() => void)[] }>();

  constructor(private readonly most: number) {}

  /** A turn at `thing`, until it is disposed. */
  async take(thing: string): Promise<Disposable> {
    const at = this.#things.get(thing) ?? { working: 0, waiting: [] };
    this.#things.set(thing, at);
    if (at.working < this.most) at.working++;
    else await new Promise<void>((turn) => at.waiting.push(turn));
    return {
      [Symbol.dispose]: () => {
        const next = at.waiting.shift();
        // A turn that is handed on stays counted.
        if (next) next();
        else if (--at.working === 0) this.#things.delete(thing);
      },
    };
  }
}

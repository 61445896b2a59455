/** Lets a bounded number of users of one thing work at once; the others wait in the order in which they came. */
export class Turns {
  readonly #things = new Map<string, Thing>();

  constructor(private readonly most: number) {}

  /** A turn at `thing`, until it is disposed: at once where there is one, else when it is this user's. */
  take(name: string): Disposable | Promise<Disposable> {
    const thing = this.#things.get(name) ?? { name, working: 0, waiting: [] };
    const turn = new Turn(this.#things, thing);
    if (thing.working < this.most) {
      if (thing.working++ === 0) this.#things.set(name, thing);
      return turn;
    }
    return new Promise((resolve) => thing.waiting.push(() => resolve(turn)));
  }
}

interface Thing {
  readonly name: string;
  working: number;
  readonly waiting: (() => void)[];
}

class Turn implements Disposable {
  constructor(private readonly things: Map<string, Thing>, private readonly thing: Thing) {}

  [Symbol.dispose](): void {
    const next = this.thing.waiting.shift();
    // A turn that is handed on stays counted.
    if (next) next();
    else if (--this.thing.working === 0) this.things.delete(this.thing.name);
  }
}

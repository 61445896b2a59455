/** The committed log as its writers were told: each commit's revision, and what the map was from then on. */
import { type Logged, type Model, perform } from "./model.ts";
import { serviceText } from "./service_text.ts";

/** One write that was acknowledged. */
export interface Acknowledged {
  readonly revision: bigint;
  readonly operation: Logged;
}

/** A service's forms, oldest first; no text: there was none. */
interface Form {
  readonly revision: bigint;
  readonly text: string | undefined;
}

/**
 * One epoch's log. Acknowledgements come in any order; what is asked for is answered up to `settled`, the newest revision
 * before which none is missing.
 */
export class CommittedLog {
  readonly epoch: bigint;
  settled: bigint;
  readonly #model: Model;
  readonly #waiting = new Map<bigint, Logged>();
  readonly #forms = new Map<string, Form[]>();
  readonly #touched = new Map<bigint, readonly string[]>();

  /** Begins after revision `base`, at which the map was `model`. */
  constructor(epoch: bigint, base: bigint, model: Model = new Map()) {
    this.epoch = epoch;
    this.settled = base;
    this.#model = model;
    for (const [name, service] of model) this.#forms.set(name, [{ revision: base, text: serviceText(service) }]);
  }

  /** The log of another epoch that goes on from here, after revision `base` of it. */
  next(epoch: bigint, base: bigint): CommittedLog {
    return new CommittedLog(epoch, base, new Map(this.#model));
  }

  /** Throws where two writes were told the same revision. */
  add({ revision, operation }: Acknowledged): void {
    if (revision <= this.settled || this.#waiting.has(revision)) {
      throw new Error(`Two writes were told revision ${revision}, one of them ${JSON.stringify(operation)}`);
    }
    this.#waiting.set(revision, operation);
    for (;;) {
      const next = this.#waiting.get(this.settled + 1n);
      if (!next) return;
      this.#waiting.delete(++this.settled);
      this.#append(this.settled, next);
    }
  }

  /** Throws, with the first one, where revisions are missing that later ones were told: somebody else's writes. */
  assertWhole(): void {
    if (this.#waiting.size === 0) return;
    const beyond = [...this.#waiting.keys()].sort((a, b) => a < b ? -1 : 1);
    throw new Error(`Nobody was told revision ${this.settled + 1n}, though revision ${beyond[0]} was`);
  }

  /** What a service was at a settled revision, as text; `undefined`: there was none. */
  at(name: string, revision: bigint): string | undefined {
    const forms = this.#forms.get(name) ?? [];
    // The newest is asked for most.
    let at = forms.length - 1;
    while (at >= 0 && (forms[at] as Form).revision > revision) at--;
    return forms[at]?.text;
  }

  /** Names that commits after `after`, up to and with the settled `upTo`, touched. */
  touched(after: bigint, upTo: bigint): Set<string> {
    const names = new Set<string>();
    for (let revision = after + 1n; revision <= upTo; revision++) {
      for (const name of this.#touched.get(revision) ?? []) names.add(name);
    }
    return names;
  }

  /** Names of all services of a realm that there were at a settled revision. */
  names(realm: string, revision: bigint): readonly string[] {
    return [...this.#forms.keys()].filter((name) => name.startsWith(`${realm}/`) && this.at(name, revision));
  }

  #append(revision: bigint, operation: Logged): void {
    const names = perform(this.#model, revision, operation);
    this.#touched.set(revision, names);
    for (const name of names) {
      const service = this.#model.get(name);
      const form = { revision, text: service && serviceText(service) };
      const forms = this.#forms.get(name);
      if (forms) forms.push(form);
      else this.#forms.set(name, [form]);
    }
  }
}

/** What the map asks for, service by service, in the newest form that can be routed. */
import type { Service } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Wanted, WantedService } from "./routing/plan.ts";
import { type Known, render, type Rendered } from "./routing/render.ts";
import type { Resolver } from "./resolve_host.ts";

export interface RefusedService {
  readonly service: string;
  readonly reason: string;
}

export interface WishesOptions extends Pick<Known, "isEjected"> {
  readonly resolver: Pick<Resolver, "need" | "addressOf" | "isPending">;
  /** Why a service cannot be served at its own port; `undefined` if it can. */
  portProblem(service: string, port: number): string | undefined;
}

/** Of one service, in characters. */
const MOST_REASON = 500;

export class Wishes {
  readonly #options: WishesOptions;
  readonly #wanted = new Map<string, WantedService>();
  readonly #refused = new Map<string, string>();
  /** Forms that HAProxy runs; what has changed since is not proven to be accepted by it. */
  readonly #proven = new Map<string, WantedService>();
  readonly #unproven = new Set<string>();
  /** Those that have not got their port: as they are with it, and why they are wanted without. */
  readonly #portless = new Map<string, { readonly whole: WantedService; readonly problem: string }>();
  /** Those that wait for addresses. */
  readonly #pending = new Set<string>();

  constructor(options: WishesOptions) {
    this.#options = options;
  }

  get wanted(): Wanted {
    return this.#wanted;
  }

  /** By service. One that is left out in part is named, too. */
  get refused(): readonly RefusedService[] {
    const names = new Set([...this.#refused.keys(), ...this.#portless.keys()]);
    return Array.from(names, (service) => {
      const reasons = [this.#refused.get(service), this.#portless.get(service)?.problem].filter((one) =>
        one !== undefined
      );
      return { service, reason: reasons.join("; ").slice(0, MOST_REASON) };
    });
  }

  /** Refused ones of which no good form is known: what runs of them, from before this sidecar, stays. */
  get frozen(): ReadonlySet<string> {
    return new Set([...this.#refused.keys()].filter((name) => !this.#wanted.has(name)));
  }

  /** Services that wait for a port which may be had later. */
  get portless(): ReadonlySet<string> {
    return new Set(this.#portless.keys());
  }

  /** Services of which host names are being looked up: they are as they were, or new and without these instances. */
  get pending(): ReadonlySet<string> {
    return new Set(this.#pending);
  }

  /** Takes in how these services are now. Those that hold a port come first, so that nobody else gets it. */
  take(
    names: Iterable<string>,
    services: ReadonlyMap<string, Service>,
    listeners: ReadonlyMap<number, { readonly service: string }>,
  ): void {
    const holders = new Set(Array.from(listeners.values(), ({ service }) => service));
    const changed = [...names];
    for (const holds of [true, false]) {
      for (const name of changed) if (holders.has(name) === holds) this.set(name, services.get(name));
    }
  }

  /** Takes a service in, or out (`undefined`). One that cannot be rendered keeps its last good form. */
  set(name: string, service: Service | undefined): void {
    const { resolver, isEjected } = this.#options;
    this.#unproven.add(name);
    resolver.need(name, service?.instances.map((instance) => instance.host) ?? []);
    const pending = resolver.isPending(name);
    pending ? this.#pending.add(name) : this.#pending.delete(name);
    const good = this.#portless.get(name)?.whole ?? this.#wanted.get(name);
    // Who asked hears of an address; until then the form that was good before, and what was refused of it, are as good as any.
    if (good && pending) return this.#want(name, good);
    this.#refused.delete(name);
    if (!service) {
      this.#wanted.delete(name);
      this.#portless.delete(name);
      return;
    }
    const rendered = attempt(() => render(name, service, { addressOf: (host) => resolver.addressOf(host), isEjected }));
    if (rendered.kind === "refused") {
      this.#refused.set(name, rendered.reason);
      if (good) this.#want(name, good);
      return;
    }
    this.#want(name, rendered.service);
    if (!pending && rendered.unresolved.length > 0) this.#refused.set(name, rendered.unresolved.join("; "));
  }

  /** HAProxy runs all of it. */
  prove(): void {
    for (const name of this.#unproven) {
      const service = this.#wanted.get(name);
      service ? this.#proven.set(name, service) : this.#proven.delete(name);
    }
    this.#unproven.clear();
  }

  /** What is wanted, but of the unproven services only these few as they are, the others in the form that HAProxy last ran. */
  only(few: readonly string[]): Wanted {
    const wanted = new Map(this.#wanted);
    for (const name of this.#unproven) {
      if (few.includes(name)) continue;
      const service = this.#proven.get(name);
      service ? wanted.set(name, service) : wanted.delete(name);
    }
    return wanted;
  }

  /** Those that HAProxy has not yet been seen to run as they are wanted. */
  get unproven(): readonly string[] {
    return [...this.#unproven];
  }

  /** HAProxy does not take these services as they are: back to the forms that it last ran. */
  revert(names: readonly string[], reason: string): void {
    for (const name of names) {
      const service = this.#proven.get(name);
      service ? this.#wanted.set(name, service) : this.#wanted.delete(name);
      this.#portless.delete(name);
      this.#refused.set(name, reason);
    }
  }

  /** With its port, if that can be had, else without. */
  #want(name: string, whole: WantedService): void {
    const { localPort, ...elsewhere } = whole;
    const problem = localPort === undefined ? undefined : this.#options.portProblem(name, localPort);
    problem === undefined ? this.#portless.delete(name) : this.#portless.set(name, { whole, problem });
    this.#wanted.set(name, problem === undefined ? whole : elsewhere);
  }
}

/** What nobody has thought of costs one service, too, and not the host. */
function attempt(rendering: () => Rendered): Rendered {
  try {
    return rendering();
  } catch (error) {
    return { kind: "refused", reason: `Cannot render it: ${(error as Error).message}` };
  }
}

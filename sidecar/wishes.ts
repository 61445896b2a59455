/** What the map asks for, service by service, in the newest form that can be routed. */
import type { Service } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Wanted, WantedService } from "./routing/plan.ts";
import { render } from "./routing/render.ts";
import type { Resolver } from "./resolve_host.ts";

export interface RefusedService {
  readonly service: string;
  readonly reason: string;
}

export class Wishes {
  readonly #resolver: Pick<Resolver, "need" | "addressOf">;
  readonly #wanted = new Map<string, WantedService>();
  readonly #refused = new Map<string, string>();
  /** Forms that HAProxy runs; what has changed since is not proven to be accepted by it. */
  readonly #proven = new Map<string, WantedService>();
  readonly #unproven = new Set<string>();

  constructor(resolver: Pick<Resolver, "need" | "addressOf">) {
    this.#resolver = resolver;
  }

  get wanted(): Wanted {
    return this.#wanted;
  }

  /** By service. One that is left out in part is named, too. */
  get refused(): readonly RefusedService[] {
    return Array.from(this.#refused, ([service, reason]) => ({ service, reason }));
  }

  /** Takes a service in, or out (`undefined`). One that cannot be rendered keeps its last good form. */
  set(name: string, service: Service | undefined): void {
    this.#refused.delete(name);
    this.#unproven.add(name);
    if (!service) {
      this.#resolver.need(name, []);
      this.#wanted.delete(name);
      return;
    }
    this.#resolver.need(name, service.instances.map((instance) => instance.host));
    const rendered = render(name, service, (host) => this.#resolver.addressOf(host));
    if (rendered.kind === "refused") {
      this.#refused.set(name, rendered.reason);
      return;
    }
    this.#wanted.set(name, rendered.service);
    if (rendered.unresolved.length > 0) this.#refused.set(name, rendered.unresolved.join("; "));
  }

  /** HAProxy runs all of it. */
  prove(): void {
    for (const name of this.#unproven) {
      const service = this.#wanted.get(name);
      service ? this.#proven.set(name, service) : this.#proven.delete(name);
    }
    this.#unproven.clear();
  }

  /** HAProxy does not take these services as they are: back to the forms that it last ran. */
  revert(names: readonly string[], reason: string): void {
    for (const name of names) {
      const service = this.#proven.get(name);
      service ? this.#wanted.set(name, service) : this.#wanted.delete(name);
      this.#refused.set(name, reason);
    }
  }
}

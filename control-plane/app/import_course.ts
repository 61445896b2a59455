/** How a service becomes what an import says: step by step, within its bounds after each, and never without instances. */
import { type Alias, type Instance, MAX_INSTANCES, MAX_SERVICE_BYTES, type Service } from "../domain/cluster_map.ts";
import type { OfReliance, OfService } from "../domain/decision.ts";
import type { LeaseId, Revision, ServiceName } from "../domain/names.ts";
import { DEFAULT_SPEC, specBytes } from "../domain/service_spec.ts";
import { aliasBytes, instanceBytes, SERVICE_BYTES } from "../domain/size.ts";
import type { ImportedService } from "./import.ts";

/** Changes of one commit. */
export interface Step {
  readonly kind: "step";
  readonly changes: readonly OfService[];
  readonly relies?: readonly OfReliance[];
  /** By how many bytes they make the service larger. */
  readonly growth: number;
  readonly added: number;
  readonly removed: number;
}

/** Why there is no next step though something is left to do. */
interface Blocked {
  readonly kind: "blocked";
  readonly reason: string;
}

/** What comes next for a service as it is now; nothing: it is done. Asked anew when somebody else was faster. */
export type Next = (service: Service | undefined) => Step | Blocked | undefined;

/** Changes in one commit: commits stay small, also for stores that bound them. */
const CHANGES_AT_ONCE = 80;

/** Takes a service that is in an import from what it held at the start to what it is to be. */
export class Course {
  readonly name: ServiceName;
  readonly #additions: readonly OfService[];
  readonly #removals: readonly OfService[];
  readonly #keepsSome: boolean;
  #added = 0;
  #removed = 0;
  /** When this wrote the service's own fields: from then on nobody else may. */
  #begun: Revision | undefined;

  constructor(wanted: ImportedService, present: Service | undefined) {
    this.name = wanted.name;
    this.#additions = additionsOf(wanted, present);
    this.#removals = removalsOf(wanted, present);
    this.#keepsSome = wanted.instances.length > 0;
  }

  /** What is new; what goes stays, but where there is no room for both. */
  readonly coming: Next = (service) => {
    if (this.#added === this.#additions.length) return undefined;
    return (this.#begun !== undefined && this.#lost(service)) || this.#add(service);
  };

  /** What goes. */
  readonly going: Next = (service) => {
    if (this.#removed === this.#removals.length) return undefined;
    return this.#lost(service) ?? this.#remove();
  };

  /** A step was committed. */
  done({ added, removed }: Step, revision: Revision): void {
    // The service's own fields come first.
    if (added > 0) this.#begun ??= revision;
    this.#added += added;
    this.#removed += removed;
  }

  #lost(service: Service | undefined): Blocked | undefined {
    if (service?.specModified === this.#begun) return undefined;
    return blocked(`somebody else ${service ? "changed" : "deleted"} service "${this.name}" meanwhile`);
  }

  #add(service: Service | undefined): Step | Blocked {
    const size = new Size(this.name, service);
    const changes: OfService[] = [];
    let [added, removed] = [this.#added, this.#removed];
    while (changes.length < CHANGES_AT_ONCE || this.#keepsSome && size.instances === 0) {
      const addition = this.#additions[added];
      if (!addition) break;
      const fits = size.take(addition, true);
      const change = fits ? addition : this.#removals[removed];
      if (!change) break;
      if (fits) added++;
      else size.take(change, false), removed++;
      changes.push(change);
    }
    if (changes.length === 0) return blocked(`what others wrote to service "${this.name}" meanwhile takes its room`);
    const [growth, by] = [size.growth, { added: added - this.#added, removed: removed - this.#removed }];
    return { kind: "step", changes, growth, ...by };
  }

  #remove(): Step {
    const changes = this.#removals.slice(this.#removed, this.#removed + CHANGES_AT_ONCE);
    return { kind: "step", changes, growth: 0, added: 0, removed: changes.length };
  }
}

/** Deletes a service that is not in an import: with those who were in it at the start, and nobody else. */
export function leaving({ name, instances }: Service): Next {
  const judged = new Set<string>(instances.map(({ id }) => id));
  return (service) => {
    if (!service) return undefined;
    const other = service.instances.find(({ id }) => !judged.has(id));
    if (other) return blocked(`instance "${name}/${other.id}" registered meanwhile, in a service that is to go`);
    const relies = [{ touch: true as const, revision: service.modified }];
    return { kind: "step", changes: [{ kind: "delete_service" }], relies, growth: 0, added: 0, removed: 0 };
  };
}

/** How large a service becomes by changes, none of which touches what another one does. */
class Size {
  instances: number;
  growth = 0;
  readonly #bytes: number;
  readonly #held: ReadonlyMap<string, Instance>;
  readonly #aliases: ReadonlyMap<string, Alias>;

  constructor(name: ServiceName, private readonly service: Service | undefined) {
    this.#bytes = service?.bytes ?? SERVICE_BYTES + name.length;
    this.instances = service?.instances.length ?? 0;
    this.#held = new Map(service?.instances.map((one) => [one.id, one]));
    this.#aliases = new Map(service?.aliases.map((one) => [one.name, one]));
  }

  /** Takes in a change; false: it is to be `within` the bounds of a service, and would not be. */
  take(change: OfService, within: boolean): boolean {
    const [bytes, instances] = this.#difference(change);
    const growth = this.growth + bytes;
    const grows = bytes > 0 || instances > 0;
    const fits = this.#bytes + growth <= MAX_SERVICE_BYTES && this.instances + instances <= MAX_INSTANCES;
    if (within && grows && !fits) return false;
    this.growth = growth;
    this.instances += instances;
    return true;
  }

  #difference(change: OfService): [bytes: number, instances: number] {
    switch (change.kind) {
      case "put_service":
        return [specBytes(change.spec) - specBytes(this.service?.spec ?? DEFAULT_SPEC), 0];
      case "put_instance": {
        const before = this.#held.get(change.instance.id);
        return [instanceBytes(change.instance) - (before ? instanceBytes(before) : 0), before ? 0 : 1];
      }
      case "delete_instance": {
        const before = this.#held.get(change.id);
        return before ? [-instanceBytes(before), -1] : [0, 0];
      }
      case "put_alias":
        return [aliasBytes(change.alias) - this.#alias(change.alias.name), 0];
      case "delete_alias":
        return [-this.#alias(change.name), 0];
      default:
        return [0, 0];
    }
  }

  #alias(name: string): number {
    const before = this.#aliases.get(name);
    return before ? aliasBytes(before) : 0;
  }
}

function additionsOf({ enabled, spec, instances, aliases }: ImportedService, present: Service | undefined) {
  const parts = [
    ...instances.map((one): OfService => {
      const lease = one.ttl === undefined ? {} : { lease: crypto.randomUUID() as LeaseId };
      return { kind: "put_instance", instance: { ...one, ...lease } };
    }),
    ...aliases.map((alias): OfService => ({ kind: "put_alias", alias })),
  ];
  const held = new Map([
    ...present?.instances.map((one) => [`instance ${one.id}`, instanceBytes(one)] as const) ?? [],
    ...present?.aliases.map((one) => [`alias ${one.name}`, aliasBytes(one)] as const) ?? [],
  ]);
  const shrinks = (change: OfService) => {
    if (change.kind === "put_instance") {
      return instanceBytes(change.instance) <= (held.get(`instance ${change.instance.id}`) ?? 0);
    }
    return change.kind === "put_alias" && aliasBytes(change.alias) <= (held.get(`alias ${change.alias.name}`) ?? 0);
  };
  // What becomes smaller makes room for what grows.
  const [smaller, larger] = [parts.filter(shrinks), parts.filter((part) => !shrinks(part))];
  return [{ kind: "put_service", enabled, spec } as const, ...smaller, ...larger];
}

function removalsOf({ instances, aliases }: ImportedService, present: Service | undefined): OfService[] {
  const ids = new Set<string>(instances.map(({ id }) => id));
  const names = new Set<string>(aliases.map(({ name }) => name));
  return [
    ...present?.aliases.filter(({ name }) => !names.has(name)).map(({ name }): OfService => ({
      kind: "delete_alias",
      name,
    })) ?? [],
    // Last: where these make room, there is some for others by then.
    ...present?.instances.filter(({ id }) => !ids.has(id)).map(({ id }): OfService => ({
      kind: "delete_instance",
      id,
    })) ?? [],
  ];
}

function blocked(reason: string): Blocked {
  return { kind: "blocked", reason };
}

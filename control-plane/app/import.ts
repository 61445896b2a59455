/** Makes a realm what somebody says it is: everything is checked first, then committed in many steps, then a new epoch begins. */
import {
  type Alias,
  findService,
  type Instance,
  MAX_INSTANCES,
  MAX_SERVICE_BYTES,
  type Position,
  realmOf,
} from "../domain/cluster_map.ts";
import type { Service } from "../domain/cluster_map.ts";
import { accept } from "../domain/decision.ts";
import type { Realm, Revision, ServiceName } from "../domain/names.ts";
import { halfDone, isRefusal, type Refusal, refuse } from "../domain/refusal.ts";
import type { ServiceSpec } from "../domain/service_spec.ts";
import { serviceBytes } from "../domain/size.ts";
import type { Store } from "../store/store.ts";
import type { Caller } from "./caller.ts";
import type { Clock } from "./clock.ts";
import type { Hub } from "./hub.ts";
import { Course, leaving, type Next } from "./import_course.ts";
import type { Operations } from "./operations.ts";
import { guardOf, type Note, writesOf } from "./store_keys.ts";

/** A service as it is to be; leases are not taken over. */
export interface ImportedService {
  readonly name: ServiceName;
  readonly enabled: boolean;
  readonly spec: ServiceSpec;
  readonly instances: readonly Omit<Instance, "modified" | "lease">[];
  readonly aliases: readonly Omit<Alias, "modified">[];
}

export interface Imported {
  readonly position: Position;
  readonly services: number;
  readonly removed: number;
}

export interface ImportOptions {
  readonly store: Store;
  readonly hub: Hub;
  readonly operations: Pick<Operations, "beginEpoch">;
  readonly clock: Pick<Clock, "wall">;
}

/** More than this share of a realm's instances or services, in percent, goes only by force. */
const MOST_REMOVED = 30;
/** Services that are written at once. */
const SERVICES_AT_ONCE = 64;
/** For one commit, while others write to the same service. */
const MOST_TRIES = 128;

/**
 * Replaces what `realm` holds. Refused before anything is written, or on the way, by the store or because somebody else
 * wrote something that it does not go with: then it can be repeated. Who registers meanwhile stays.
 */
export async function importRealm(
  options: ImportOptions,
  caller: Caller,
  realm: Realm,
  services: readonly ImportedService[],
  force: boolean,
): Promise<Imported | Refusal> {
  const { hub, clock, operations } = options;
  const { services: present } = realmOf(hub.current(), realm);
  const wanted = new Map(services.map((service) => [service.name, service]));
  const gone = [...present].map(([, service]) => service).filter(({ name }) => !wanted.has(name));
  const refusal = services.map(sizeProblem).find((problem) => problem !== undefined) ??
    (force ? undefined : lossProblem(realm, [...present].map(([, service]) => service), wanted));
  if (refusal) return refusal;
  const note: Note = {
    time: clock.wall(),
    identity: caller.identity,
    operation: "import",
    ...(caller.reason && { reason: caller.reason }),
  };
  const courses = services.map((service) => new Course(service, present.get(service.name)));
  // What goes waits until all that is new is there: nobody is without instances on the way, wherever it ends.
  const stages: readonly Way[][] = [
    courses.map((course) => ({ name: course.name, next: course.coming, course })),
    courses.map((course) => ({ name: course.name, next: course.going, course })),
    gone.map((service) => ({ name: service.name, next: leaving(service) })),
  ];
  const writing = new Writing(options, caller, realm, note);
  for (const ways of stages) {
    const failure = await writing.goAll(ways);
    if (failure) return failure;
  }
  const position = await operations.beginEpoch(caller);
  return isRefusal(position) ? halfDone(position) : { position, services: services.length, removed: gone.length };
}

/** What is to become of a service in one stage. */
interface Way {
  readonly name: ServiceName;
  readonly next: Next;
  readonly course?: Course;
}

interface Failure {
  readonly code: "conflict" | "unavailable" | "unknown";
  readonly reason: string;
}

/** Commits steps, each on what it was decided by. */
class Writing {
  #written = false;
  #failure: Failure | undefined;

  constructor(
    private readonly options: Pick<ImportOptions, "store" | "hub">,
    private readonly caller: Caller,
    private readonly realm: Realm,
    private readonly note: Note,
  ) {}

  /** Goes all ways to their ends, some at once; a failure of one stops the others. */
  async goAll(ways: readonly Way[]): Promise<Refusal | undefined> {
    const left = ways.values();
    const worker = async () => {
      for (const way of left) {
        const failure = await this.#go(way);
        if (failure) this.#failure = failure;
      }
    };
    await Promise.all(Array.from({ length: Math.min(SERVICES_AT_ONCE, ways.length) }, worker));
    return this.#failure && this.#refusal(this.#failure);
  }

  /** Why it did not come to its end, if so. */
  async #go({ name, next, course }: Way): Promise<Failure | undefined> {
    const { store, hub } = this.options;
    for (let tries = 0; tries < MOST_TRIES && !this.#failure; tries++) {
      const map = hub.current();
      const service = findService(map, this.realm, name);
      const step = next(service);
      if (!step) return undefined;
      if (step.kind === "blocked") return { code: "conflict", reason: step.reason };
      const { changes, relies } = accept({ realm: this.realm, service: name }, service, step);
      const outcome = await store.commit(writesOf(changes, this.note), relies.map(guardOf));
      if (outcome.kind === "conflict") {
        await hub.reached((map.position.revision + 1n) as Revision, this.caller.signal);
        continue;
      }
      if (outcome.kind !== "refused") this.#written = true;
      if (outcome.kind === "refused") return { code: "unavailable", reason: outcome.reason };
      if (outcome.kind === "unknown") return { code: "unknown", reason: outcome.reason };
      await hub.reached(outcome.revision, this.caller.signal);
      course?.done(step, outcome.revision);
      tries = -1;
    }
    return this.#failure ?? { code: "conflict", reason: `others kept changing service "${name}"` };
  }

  #refusal({ code, reason }: Failure): Refusal {
    if (!this.#written) return refuse(code, `Cannot import realm "${this.realm}": ${reason}; import again`);
    const sentence = `Cannot import all of realm "${this.realm}": ${reason}; what was written stays, import again`;
    return refuse(code === "conflict" ? code : "unknown", sentence);
  }
}

function sizeProblem(service: ImportedService): Refusal | undefined {
  const { name, instances } = service;
  if (instances.length <= MAX_INSTANCES && serviceBytes(service) <= MAX_SERVICE_BYTES) return undefined;
  return refuse("too_large", `Cannot import service "${name}": it is larger than ${MAX_INSTANCES} instances or 1 MiB`);
}

function lossProblem(realm: Realm, present: readonly Service[], wanted: ReadonlyMap<ServiceName, ImportedService>) {
  const lost = present.map(({ name, instances }) => {
    const kept = new Set<string>(wanted.get(name)?.instances.map(({ id }) => id));
    return instances.filter(({ id }) => !kept.has(id)).length;
  }).reduce((sum, one) => sum + one, 0);
  const instances = present.reduce((sum, one) => sum + one.instances.length, 0);
  const services = present.filter(({ name }) => !wanted.has(name)).length;
  if (lost * 100 <= MOST_REMOVED * instances && services * 100 <= MOST_REMOVED * present.length) return undefined;
  const what = `${lost} of ${instances} instances and ${services} of ${present.length} services`;
  return refuse(
    "in_use",
    `Cannot import realm "${realm}": ${what} would go, more than ${MOST_REMOVED} %; force it if they may`,
  );
}

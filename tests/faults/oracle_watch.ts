/**
 * Holds what one watcher got against the committed log: in order, each change once, none missing up to its last, every
 * update the map of one revision, differences only to what the watcher holds, and from there on after it came back.
 */
import type { Position } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import type { Part } from "../../proto/gen/portolan/v1/discovery_pb.ts";
import type { CommittedLog } from "./committed_log.ts";
import { serviceText } from "./service_text.ts";

export type At = Pick<Position, "epoch" | "revision">;

/** One update, all of its parts. */
export interface Update {
  readonly position: At;
  readonly complete: boolean;
  readonly set: readonly { readonly name: string; readonly text: string }[];
  readonly deleted: readonly string[];
}

/** The update that parts add up to; throws where they do not belong together. */
export function updateOf(parts: readonly Part[]): Update {
  const { position, complete } = parts[0] ?? {};
  if (!position || complete === undefined) throw new Error("torn: an update without a position");
  for (const part of parts) {
    const same = part.position?.epoch === position.epoch && part.position.revision === position.revision;
    if (!same || part.complete !== complete) throw new Error(`torn: parts of several updates after ${show(position)}`);
  }
  const set = parts.flatMap((part) => part.set.map((service) => ({ name: service.name, text: serviceText(service) })));
  const deleted = parts.flatMap((part) => part.deleted);
  const names = [...set.map(({ name }) => name), ...deleted];
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new Error(`doubled: "${twice}" is in the update of ${show(position)} twice`);
  return { position, complete, set, deleted };
}

/** What a watcher did or got, in its order. */
type Step =
  | { readonly kind: "subscribed"; readonly services: readonly string[]; readonly after: At | undefined }
  | { readonly kind: "updated"; readonly update: Update };

export class WatchOracle {
  /** Updates that were held against the log. */
  checked = 0;
  readonly #who: string;
  readonly #realm: string;
  readonly #logOf: (epoch: bigint) => CommittedLog | undefined;
  /** What the log cannot tell of yet. */
  #steps: Step[] = [];
  #services: ReadonlySet<string> = new Set();
  #held: At | undefined;
  /** The newest that it was ever told: nothing may be older. */
  #newest: At | undefined;

  /** `who` begins what it throws; `logOf` knows the log of every epoch that there was so far. */
  constructor(who: string, realm: string, logOf: (epoch: bigint) => CommittedLog | undefined) {
    this.#who = who;
    this.#realm = realm;
    this.#logOf = logOf;
  }

  /** It follows these services from now on (none: all of the realm), and said that it holds them as of `after`. */
  subscribed(services: readonly string[], after: At | undefined): void {
    this.#steps.push({ kind: "subscribed", services, after });
    this.check();
  }

  updated(update: Update): void {
    this.#steps.push({ kind: "updated", update });
    this.check();
  }

  /** Checks as far as the log is settled; throws at the first thing that is wrong. */
  check(): void {
    let done = 0;
    for (const step of this.#steps) {
      if (step.kind === "updated") {
        const { position } = step.update;
        const log = this.#logOf(position.epoch);
        if (!log || log.settled < position.revision) break;
        const problem = this.#problem(step.update, log);
        if (problem) {
          throw new Error(`${this.#who}: ${problem}\n  by the update ${JSON.stringify(step.update, asText)}`);
        }
        this.#held = this.#newest = position;
        this.checked++;
      } else {
        this.#services = new Set(step.services);
        this.#held = step.after;
      }
      done++;
    }
    this.#steps = this.#steps.slice(done);
  }

  /** Throws unless all that it got was checked. */
  assertChecked(): void {
    this.check();
    if (this.#steps.length > 0) {
      throw new Error(`${this.#who}: got what is beyond the log, ${this.#steps.length} steps`);
    }
  }

  /** Whether it holds everything up to the settled position `at`, as far as it was checked. */
  holds(at: At): boolean {
    if (this.#held?.epoch !== at.epoch || this.#steps.length > 0) return false;
    const missed = this.#logOf(at.epoch)?.touched(this.#held.revision, at.revision) ?? [];
    return [...missed].every((name) => !this.#isMine(name));
  }

  #problem(update: Update, log: CommittedLog): string | undefined {
    const { position, complete } = update;
    const back = this.#newest && isBefore(position, this.#newest);
    if (back) return `reordered: ${show(position)} came after ${show(this.#newest)}`;
    const held = this.#held?.epoch === position.epoch ? this.#held : undefined;
    if (held && complete) return `not resumed: complete, though ${show(held)} was held`;
    if (!held && !complete) return `torn: a difference to what it does not hold, ${show(this.#held)}`;
    return this.#contentProblem(update, log) ??
      (held ? this.#differenceProblem(update, log, held) : this.#snapshotProblem(update, log));
  }

  /** Everything that is said is so at the update's revision. */
  #contentProblem({ position, set, deleted }: Update, log: CommittedLog): string | undefined {
    for (const name of [...set.map(({ name }) => name), ...deleted]) {
      if (!this.#inScope(name)) return `leaked: "${name}" is not in its scope`;
    }
    for (const { name, text } of set) {
      const expected = log.at(this.#full(name), position.revision);
      if (text !== expected) return `torn: at ${show(position)} expected\n  ${expected}, got\n  ${text}`;
    }
    for (const name of deleted) {
      const expected = log.at(this.#full(name), position.revision);
      if (expected !== undefined) return `torn: at ${show(position)} "${name}" is not deleted but\n  ${expected}`;
    }
    return undefined;
  }

  /** Everything that changed since then is in it, and nothing else. */
  #differenceProblem({ position, set, deleted }: Update, log: CommittedLog, held: At): string | undefined {
    const touched = log.touched(held.revision, position.revision);
    const told = new Set([...set.map(({ name }) => name), ...deleted].map((name) => this.#full(name)));
    for (const name of told) {
      if (!touched.has(name)) return `doubled: "${name}" did not change between ${show(held)} and ${show(position)}`;
    }
    for (const name of touched) {
      if (!this.#isMine(name) || told.has(name)) continue;
      return `lost: "${name}" changed between ${show(held)} and ${show(position)}`;
    }
    return undefined;
  }

  /** Everything that there is in scope is in it. */
  #snapshotProblem({ position, set }: Update, log: CommittedLog): string | undefined {
    const told = new Set(set.map(({ name }) => this.#full(name)));
    const missing = log.names(this.#realm, position.revision).find((name) => {
      return this.#isMine(name) && !told.has(name);
    });
    return missing === undefined ? undefined : `lost: "${missing}" is missing at ${show(position)}`;
  }

  /** Whether a name with its realm is in its scope. */
  #isMine(name: string): boolean {
    const [realm = "", service = ""] = name.split("/");
    return realm === this.#realm && this.#inScope(service);
  }

  #full(name: string): string {
    return `${this.#realm}/${name}`;
  }

  #inScope(name: string): boolean {
    return this.#services.size === 0 || this.#services.has(name);
  }
}

export function isBefore(one: At, other: At): boolean {
  return one.epoch < other.epoch || (one.epoch === other.epoch && one.revision < other.revision);
}

function show(position: At | undefined): string {
  return position ? `${position.epoch}.${position.revision}` : "nothing";
}

function asText(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}` : value;
}

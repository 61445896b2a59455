/** What the control plane can do, for every transport: changes are decided and committed, the map is read and followed. */
import type { Position } from "../domain/cluster_map.ts";
import { type Command, decide, type Decision } from "../domain/command.ts";
import type { Revision } from "../domain/names.ts";
import { type Refusal, refuse } from "../domain/refusal.ts";
import { type Scope, since, type Update } from "../domain/update.ts";
import type { Commit, Store } from "../store/store.ts";
import type { Log } from "../../proto/log.ts";
import type { Caller } from "./caller.ts";
import type { Hub } from "./hub.ts";
import { guardOf, writesOf } from "./store_keys.ts";
import { Turns } from "./turns.ts";
import type { Follow } from "./watcher.ts";

/** The resource is as asked for, since `revision`. */
export interface Written {
  readonly kind: "written";
  readonly revision: Revision;
}

/**
 * Writes to one service that may be under way at once: what none of them knows of the others stays far below the bounds
 * of a service. Who loses is decided anew, one loser after the other, so it loses against few.
 */
const AT_ONCE = 32;
const MOST_TRIES = 4 * AT_ONCE;

export interface OperationsOptions {
  /** How long a read waits for a revision that it was asked to see, in ms. */
  readonly minRevisionWaitMs?: number;
}

export class Operations {
  readonly #turns = new Turns(AT_ONCE);
  readonly #losers = new Turns(1);

  constructor(
    private readonly store: Store,
    private readonly hub: Hub,
    private readonly log: Log,
    private readonly options: OperationsOptions = {},
  ) {}

  /** Does what `command` asks for, once the map shows it: who reads here afterwards reads it. */
  async execute(caller: Caller, command: Command): Promise<Written | Refusal> {
    const service = `${command.realm}/${command.service}`;
    using turns = new DisposableStack();
    turns.use(await this.#turns.take(service));
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const map = this.hub.current();
      const decision = decide(map, command);
      const outcome = decision.kind === "accept" ? await this.#commit(decision) : decision;
      if (outcome.kind === "conflict") {
        if (tries === 0) turns.use(await this.#losers.take(service));
        // The store has moved on: its log will say how.
        await this.hub.reached((map.position.revision + 1n) as Revision, caller.signal);
        continue;
      }
      this.#note(caller, command, outcome);
      if (outcome.kind === "refuse") return outcome;
      await this.hub.reached(outcome.revision, caller.signal);
      return { kind: "written", revision: outcome.revision };
    }
    return refuse("conflict", `Cannot change service "${command.service}": others kept changing it, try again`);
  }

  /** Everything in scope, at one position that is not before `minRevision`. */
  async read(caller: Caller, scope: Scope, minRevision: Revision): Promise<Update | Refusal> {
    if (this.hub.current().position.revision < minRevision) {
      const late = AbortSignal.timeout(this.options.minRevisionWaitMs ?? 5_000);
      try {
        await this.hub.reached(minRevision, AbortSignal.any([caller.signal, late]));
      } catch {
        const { revision } = this.hub.current().position;
        return refuse("unavailable", `Cannot read revision ${minRevision}: the newest one here is ${revision}`);
      }
    }
    return since(this.hub.current(), scope);
  }

  /** Updates of a scope, from `after` on. */
  follow(caller: Caller, scope: Scope, after?: Position): Follow {
    this.log.info("Following", { realm: scope.realm, identity: caller.identity, reason: caller.reason });
    return this.hub.follow(scope, after);
  }

  /** Where the map stands. */
  position(): Position {
    return this.hub.current().position;
  }

  /** Why requests cannot be served as promised; empty: they can. */
  problems(): readonly string[] {
    return this.hub.live ? [] : ["the map does not follow the store"];
  }

  async #commit({ changes, relies }: Extract<Decision, { kind: "accept" }>) {
    return outcomeOf(await this.store.commit(changes.map(writesOf), relies.map(guardOf)));
  }

  #note({ identity, reason }: Caller, { kind, realm, service }: Command, outcome: Outcome): void {
    if (outcome.kind === "unchanged") return;
    const fields = { operation: kind, realm, service, identity, reason };
    if (outcome.kind === "committed") this.log.info("Changed the map", { ...fields, revision: outcome.revision });
    else this.log.warn("Refused a change", { ...fields, code: outcome.code, refusal: outcome.message });
  }
}

type Outcome = Extract<Commit, { kind: "committed" }> | Exclude<Decision, { kind: "accept" }>;

function outcomeOf(commit: Commit): Outcome | Extract<Commit, { kind: "conflict" }> {
  switch (commit.kind) {
    case "committed":
    case "conflict":
      return commit;
    case "refused":
      return refuse("unavailable", `Cannot write to the store: ${commit.reason}`);
    case "unknown":
      return refuse("unknown", `Cannot tell whether the store was written: ${commit.reason}`);
  }
}

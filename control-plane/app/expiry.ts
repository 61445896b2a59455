/** Watches leases, and turns their end into decided removals, or into instances that are held. */
import { judge } from "../domain/brake.ts";
import type { Command } from "../domain/command.ts";
import { isRefusal } from "../domain/refusal.ts";
import type { LeaseId, Realm } from "../domain/names.ts";
import type { Log } from "../../proto/log.ts";
import { sleep } from "../../proto/sleep.ts";
import { observer } from "./caller.ts";
import type { Clock } from "./clock.ts";
import type { Leases } from "./leases.ts";
import type { Operations } from "./operations.ts";

export interface ExpiryOptions {
  readonly leases: Leases;
  readonly operations: Pick<Operations, "execute">;
  readonly clock: Pick<Clock, "monotonic">;
  readonly log: Log;
}

/** Between two looks at the leases, in ms. */
const LEAST_MS = 100;
const MOST_MS = 500;
/** After one that could not do all. */
const AGAIN_MS = 2_000;
/** A look that comes so much too late, in ms, means that this process was paused: beats wait to be heard. */
const LATE_MS = 100;
/** So long a pause is worth a word. */
const PAUSE_MS = 1_000;

/** Runs until it is disposed. */
export function startExpiry(options: ExpiryOptions): AsyncDisposable {
  const ended = new AbortController();
  const running = run(options, ended.signal);
  return {
    async [Symbol.asyncDispose]() {
      ended.abort();
      await running;
    },
  };
}

/** Goes on while a look waits for the store, so that no pause goes unnoticed. */
async function run(options: ExpiryOptions, signal: AbortSignal): Promise<void> {
  const { leases, clock, log } = options;
  let looking: Promise<void> | undefined;
  let notBefore = -Infinity;
  let late = false;
  for (let from = clock.monotonic(); !signal.aborted;) {
    const left = Math.ceil(leases.nextEnd() - from);
    // What ran out and waits for others is looked at now and then: it costs more, the more leases there are.
    const delayMs: number = looking || left <= 0 && !late ? MOST_MS : Math.min(Math.max(left, LEAST_MS), MOST_MS);
    await sleep(delayMs, signal);
    const now = clock.monotonic();
    const lateMs = now - from - delayMs;
    from = now;
    if (lateMs > LATE_MS) leases.pause(lateMs);
    if (lateMs > PAUSE_MS) log.warn("Was paused: leases begin again", { ms: Math.round(lateMs) });
    // What came meanwhile is heard first; who is always late has to look all the same.
    late = lateMs > LATE_MS && !late;
    if (signal.aborted || looking || late || now < notBefore) continue;
    looking = look(options, signal).catch((error) => {
      if (!signal.aborted) log.error("Cannot end leases: trying again", { error });
      return false;
    }).then((done) => {
      looking = undefined;
      if (!done) notBefore = clock.monotonic() + AGAIN_MS;
    });
  }
  await looking;
}

/** One look at all leases; false: not all of it could be done, and is to be tried again. */
export async function look(options: ExpiryOptions, signal: AbortSignal): Promise<boolean> {
  const { leases, clock, operations, log } = options;
  const commands: Command[] = [];
  const now = clock.monotonic();
  const returned = leases.returned();
  for (const realm of new Set(returned.flatMap((id) => leases.realmsOf(id)))) {
    commands.push(...commandsOf(leases, realm, returned, { kind: "hold", held: false }));
  }
  // To judge all leases costs more than to see that none has run out.
  for (const [realm, loads] of leases.nextEnd() <= now ? leases.loads() : []) {
    const { remove, hold } = judge(loads, now);
    leases.end(realm, remove);
    if (hold.length === 0) continue;
    log.warn("Too many leases ran out together: keeping what they hold", { realm, leases: hold.length });
    commands.push(...commandsOf(leases, realm, hold, { kind: "hold", held: true }));
  }
  for (const [realm, ids] of leases.ending()) commands.push(...commandsOf(leases, realm, ids, { kind: "expire" }));
  const outcomes = await Promise.all(
    commands.map((command) => operations.execute(causeOf(command, signal), command)),
  );
  // A service that is gone has nothing left to end.
  const refusal = outcomes.filter(isRefusal).find(({ code }) => code !== "not_found");
  if (refusal) log.warn("Cannot end leases yet: trying again", { refusal: refusal.message });
  return refusal === undefined;
}

type Kind = { readonly kind: "expire" } | { readonly kind: "hold"; readonly held: boolean };

function commandsOf(leases: Leases, realm: Realm, ids: readonly LeaseId[], kind: Kind): Command[] {
  const these = new Set(ids);
  return [...leases.servicesOf(realm, ids)].map((service) => ({ realm, service, leases: these, ...kind }));
}

function causeOf(command: Command, signal: AbortSignal) {
  const reason = command.kind === "expire"
    ? "the lease ran out"
    : command.kind === "hold" && command.held
    ? "the lease ran out together with too many others"
    : "the lease was renewed again";
  return observer("expiry", reason, signal);
}

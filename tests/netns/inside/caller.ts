/**
 * A program of a host that calls services through the host's sidecar, so many requests a second whatever becomes of them:
 * one after the other on kept connections, or on connections of their own. Prints each outcome. Repeats nothing.
 * Told to stop, it sends nothing new and ends when everything has come to its end.
 */
import { Connection } from "../../scenario/testing/connection.ts";
import { Chance } from "../../faults/seed.ts";
import { createLog } from "../../../proto/log.ts";
import { CLOSED, type Outcome } from "../requests.ts";

export interface CallerOptions {
  readonly host: string;
  readonly services: readonly string[];
  readonly perSecond: number;
  readonly seed: number;
  /** Instances take up to so long to answer. */
  readonly slowMs: number;
  /** An answer that has not come by then is not waited for. */
  readonly patienceMs: number;
}

export const CALLER = "tests/netns/inside/caller.ts";

const EGRESS_PORT = 7410;

class Caller {
  readonly #options: CallerOptions;
  readonly #chance: Chance;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #underWay = new Set<Promise<void>>();
  /** Kept connections with no request under way. */
  readonly #idle: Connection[] = [];
  #sent = 0;

  constructor(options: CallerOptions) {
    this.#options = options;
    this.#chance = new Chance(options.seed);
    this.#timer = setInterval(() => {
      const calling = this.#call().finally(() => this.#underWay.delete(calling));
      this.#underWay.add(calling);
    }, 1_000 / options.perSecond);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
  }

  async #call(): Promise<void> {
    const { host, services, slowMs, patienceMs } = this.#options;
    const request = {
      id: `${host}-${++this.#sent}`,
      from: host,
      service: this.#chance.pick(services),
      kept: this.#chance.oneIn(2),
      at: Date.now(),
    };
    const path = `/?ms=${this.#chance.oneIn(2) ? 0 : this.#chance.below(slowMs)}`;
    const connection = (request.kept ? this.#idle.pop() : undefined) ?? new Connection(EGRESS_PORT);
    const begun = performance.now();
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      connection[Symbol.dispose]();
    }, patienceMs);
    const end = await ask(connection, request, path).catch((error) => {
      connection[Symbol.dispose]();
      return { failure: late ? "no answer in time" : / after 0 bytes/.test(String(error)) ? CLOSED : String(error) };
    });
    clearTimeout(timer);
    if (request.kept) this.#idle.push(connection);
    else connection[Symbol.dispose]();
    const outcome: Outcome = { ...request, ms: Math.round(performance.now() - begun), ...end };
    console.log(JSON.stringify(outcome));
  }
}

async function ask(connection: Connection, { id, service }: Pick<Outcome, "id" | "service">, path: string) {
  const { status, headers, body } = await connection.get({ "portolan-service": service, "x-request-id": id }, path);
  const error = headers.get("portolan-error");
  const notProcessed = headers.get("portolan-not-processed") === "1";
  const instance = status === 200 ? JSON.parse(body).instance : undefined;
  return { answer: { status, notProcessed, ...(instance && { instance }), ...(error && { error }) } };
}

if (import.meta.main) {
  const caller = new Caller(JSON.parse(Deno.args[0] ?? ""));
  Deno.addSignalListener("SIGTERM", async () => {
    await caller.stop();
    Deno.exit(0);
  });
  createLog("caller").info("Calling");
}

/** When nobody served: seen by somebody who asks every few ms, and what it excuses. */
import assert from "node:assert/strict";
import { now } from "../traffic/clock.ts";
import type { Problem, Verdict } from "../traffic/oracle.ts";
import type { Figure } from "./figures.ts";

/** In ms since 1970, the end not included. */
export interface Outage {
  readonly from: number;
  readonly to: number;
}

const BETWEEN_MS = 2;
/** Who has not been answered by then is not going to be. */
const PATIENCE_MS = 2_000;

/** Sends requests to an egress port, each on a connection of its own, one after the other. */
export class Prober implements AsyncDisposable {
  /** When requests were under way that were not answered with 200. */
  readonly failed: Outage[] = [];
  /** Those of them that were sent after something had been answered. */
  readonly failedSinceServed: Outage[] = [];
  readonly #request: Uint8Array;
  readonly #waiting = new Set<{ readonly since: number; readonly back: (upSince: number) => void }>();
  readonly #ended: Promise<void>;
  /** When the first 200 came after the last failure. */
  #upSince: number | undefined;
  #wasServed = false;
  #isOver = false;

  constructor(private readonly port: number, service: string) {
    this.#request = new TextEncoder().encode(
      `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nPortolan-Service: ${service}\r\nConnection: close\r\n\r\n`,
    );
    this.#ended = this.#run();
  }

  /** Resolves once something that is sent from now on is answered with 200: when that began to be so. */
  back(): Promise<number> {
    return new Promise((back) => this.#waiting.add({ since: now(), back }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true;
    await this.#ended;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      const at = now();
      if (await this.#isServed()) {
        this.#wasServed = true;
        this.#upSince ??= now();
        for (const waiting of this.#waiting) {
          if (at < waiting.since) continue;
          this.#waiting.delete(waiting);
          waiting.back(this.#upSince);
        }
      } else {
        this.#upSince = undefined;
        const failed = { from: at, to: now() };
        this.failed.push(failed);
        if (this.#wasServed) this.failedSinceServed.push(failed);
      }
      await new Promise((resolve) => setTimeout(resolve, BETWEEN_MS));
    }
  }

  async #isServed(): Promise<boolean> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), PATIENCE_MS);
    try {
      using connection = await Deno.connect({ hostname: "127.0.0.1", port: this.port, signal: late.signal });
      const close = () => connection.close();
      late.signal.addEventListener("abort", close);
      await connection.write(this.#request);
      const answer = new Uint8Array(64);
      const length = await connection.read(answer) ?? 0;
      late.signal.removeEventListener("abort", close);
      return new TextDecoder().decode(answer.subarray(0, length)).startsWith("HTTP/1.1 200 ");
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Whether it was under way in an outage. */
export function isWithin({ from, to }: Outage, outages: readonly Outage[]): boolean {
  return outages.some((outage) => from < outage.to && to > outage.from);
}

/** Fails unless all that went wrong are requests that failed because nobody served; answers with how many those are. */
export function assertExcused({ problems, text }: Verdict, outages: readonly Outage[]): readonly Figure[] {
  const [excused, rest] = [true, false].map((is) => problems.filter((one) => isExcused(one, outages) === is));
  const shown = rest?.slice(0, 20).map((one) => JSON.stringify(one)).join("\n");
  assert.equal(rest?.length, 0, `${shown}\n${text}`);
  const refused = excused?.filter(({ request: { outcome } }) => outcome === "refused").length ?? 0;
  return [
    { name: "refused while HAProxy was down", value: refused },
    { name: "cut by its end", value: (excused?.length ?? 0) - refused },
    { name: "failed at any other time, lost, doubled, misrouted", value: rest?.length ?? 0, most: 0 },
  ];
}

/** Whether a request failed, and no more than that, because nobody served: one that was never answered has hung. */
function isExcused({ what, request: { outcome, at, tookMs } }: Problem, outages: readonly Outage[]): boolean {
  return what === "failed" && outcome !== "timeout" && isWithin({ from: at, to: at + tookMs }, outages);
}

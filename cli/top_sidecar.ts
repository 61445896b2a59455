/** What `top` sees of calls: a sidecar's own figures, of which two at a time say how much is going on. */
import { type Address, formatAddress, reachable } from "../proto/settings.ts";

/** Calls of one version of a service through the sidecar, as they are now. */
export interface Traffic {
  readonly service: string;
  /** `null`: of instances that are off the map. */
  readonly version: number | null;
  readonly requestsPerSecond: number;
  /** Answers 5xx, and requests without a whole answer. */
  readonly errorsPerSecond: number;
  /** To the headers of the answer, over each instance's last 1 024 requests. */
  readonly meanResponseMs: number;
  /** Requests and connections under way. */
  readonly current: number;
}

export interface SidecarSeen {
  readonly address: string;
  /** Why there is nothing to see. */
  readonly problem?: string;
  /** Unset until two answers have come. */
  readonly traffic?: readonly Traffic[];
}

const PATIENCE_MS = 2_000;

/** Asks one sidecar, of which it remembers the last answer. */
export class SidecarWatch {
  readonly #address: string;
  readonly #url: string;
  readonly #realm: string;
  #before: { readonly stats: Stats; readonly at: number } | undefined;

  constructor(admin: Address, realm: string) {
    this.#address = formatAddress(admin);
    this.#url = `http://${reachable(admin)}/stats`;
    this.#realm = realm;
  }

  async look(signal: AbortSignal): Promise<SidecarSeen> {
    const address = this.#address;
    const stats = await this.#ask(AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]));
    if (typeof stats === "string") return { address, problem: stats };
    const at = performance.now();
    const before = this.#before;
    this.#before = { stats, at };
    return { address, ...(before && { traffic: trafficOf(before.stats, stats, (at - before.at) / 1_000) }) };
  }

  /** The figures, or why there are none. */
  async #ask(signal: AbortSignal): Promise<Stats | string> {
    const address = this.#address;
    let answer: Response;
    try {
      answer = await fetch(this.#url, { signal });
    } catch {
      return `No sidecar answers at ${address}`;
    }
    const body = await answer.json().catch(() => undefined);
    if (!answer.ok) return `The sidecar at ${address} answers ${answer.status}: ${detailOf(body) ?? "no reason"}`;
    if (!isStats(body)) return `Who answers at ${address} is no sidecar, or one of another version`;
    if (body.realm !== this.#realm) return `The sidecar at ${address} serves realm "${body.realm}"`;
    return body;
  }
}

/** As far as it is read: `/stats` of a sidecar. */
export interface Stats {
  readonly realm: string;
  /** Another one has begun to count anew. */
  readonly workerPid: number;
  readonly services: readonly { readonly service: string; readonly versions: readonly VersionStats[] }[];
}

interface VersionStats {
  readonly version: number | null;
  readonly requests: number;
  readonly connectErrors: number;
  readonly responseErrors: number;
  readonly statuses: { readonly "5xx": number };
  readonly responseMs: { readonly mean: number };
  readonly current: number;
}

/** How much is going on, by two answers so many seconds apart: those with errors first, then the busiest. */
export function trafficOf(before: Stats, after: Stats, seconds: number): readonly Traffic[] {
  const counted = new Map<string, VersionStats>();
  if (before.workerPid === after.workerPid) {
    for (const { service, versions } of before.services) {
      for (const one of versions) counted.set(`${service} ${one.version}`, one);
    }
  }
  const all = after.services.flatMap(({ service, versions }) =>
    versions.map((now): Traffic => {
      const known = counted.get(`${service} ${now.version}`);
      const rate = (count: (of: VersionStats) => number) =>
        Math.max(0, Math.round((count(now) - (known ? count(known) : 0)) * 10 / seconds) / 10);
      return {
        service,
        version: now.version,
        requestsPerSecond: rate(({ requests }) => requests),
        errorsPerSecond: rate(errorsOf),
        meanResponseMs: now.responseMs.mean,
        current: now.current,
      };
    })
  );
  return all.sort((a, b) => b.errorsPerSecond - a.errorsPerSecond || b.requestsPerSecond - a.requestsPerSecond);
}

function errorsOf({ connectErrors, responseErrors, statuses }: VersionStats): number {
  return connectErrors + responseErrors + statuses["5xx"];
}

function isStats(value: unknown): value is Stats {
  return isObject(value) && typeof value["realm"] === "string" && typeof value["workerPid"] === "number" &&
    Array.isArray(value["services"]) &&
    value["services"].every((one) =>
      isObject(one) && typeof one["service"] === "string" && Array.isArray(one["versions"]) &&
      one["versions"].every(isVersionStats)
    );
}

function isVersionStats(value: unknown): value is VersionStats {
  if (!isObject(value)) return false;
  const { version, statuses, responseMs } = value;
  const numbers = ["requests", "connectErrors", "responseErrors", "current"].map((key) => value[key]);
  return (version === null || typeof version === "number") && isObject(statuses) && isObject(responseMs) &&
    [...numbers, statuses["5xx"], responseMs["mean"]].every((one) => typeof one === "number");
}

function detailOf(body: unknown): string | undefined {
  return isObject(body) && typeof body["detail"] === "string" ? body["detail"] : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

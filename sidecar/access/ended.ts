/** A request or connection that has ended, as HAProxy tells it in a line of `config/access_format.ts`. Pure. */
import { BACKEND_ANSWERS, PROXY_ANSWERS } from "../config/answers.ts";
import { instanceOf } from "../routing/plan.ts";
import { isSlot } from "../routing/slot.ts";

/** Of connections that are passed on as bytes there is no request. Times are ms; -1: it did not come so far. */
export interface Ended {
  /** `egress`, or `local.identity`. */
  readonly frontend: string;
  /** A slot, or the name of a backend that is no pool. */
  readonly backend: string;
  /** The instance's id; `undefined` if none was chosen. */
  readonly server: string | undefined;
  /** Who ended it and when, in HAProxy's letters: `--` is as it should be. */
  readonly termination: string;
  /** Connections to instances that failed before. */
  readonly retries: number;
  /** Wall clock. */
  readonly endMs: number;
  readonly queueMs: number;
  readonly connectMs: number;
  readonly totalMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly request?: EndedRequest;
}

/** What is said of a request beside that. */
export interface EndedRequest {
  /** -1: none was sent. */
  readonly status: number;
  /** To the instance's headers. */
  readonly responseMs: number;
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly route: string | undefined;
  readonly flow: string | undefined;
  readonly call: string | undefined;
  readonly attempt: string | undefined;
  /** The instance said when to come again, or that it did nothing. */
  readonly later: boolean;
}

/** Reads a line; `undefined` if it is none of ours. */
export function parseEnded(line: string): Ended | undefined {
  const said = object(line);
  if (!said) return undefined;
  const text = (key: string) => typeof said[key] === "string" ? said[key] : "";
  const word = (key: string) => ["", "-"].includes(text(key)) ? undefined : text(key);
  const number = (key: string) => typeof said[key] === "number" && Math.abs(said[key]) < MOST ? said[key] : -1;
  if (text("frontend") === "") return undefined;
  const common = {
    frontend: text("frontend").replace(/~$/, ""),
    backend: text("backend"),
    server: text("server").startsWith("<") ? undefined : word("server") && instanceOf(text("server")),
    termination: text("termination"),
    // With a plus if another instance was chosen for it.
    retries: Number(text("retries").replace("+", "")) || 0,
    endMs: number("endMs"),
    queueMs: number("queueMs"),
    connectMs: number("connectMs"),
    totalMs: number("status" in said ? "activeMs" : "totalMs"),
    bytesIn: number("bytesIn"),
    bytesOut: number("bytesOut"),
  };
  if (!("status" in said)) return common;
  const request = {
    status: number("status"),
    responseMs: number("responseMs"),
    method: text("method"),
    path: text("path"),
    route: word("route"),
    flow: word("flow"),
    call: word("call"),
    attempt: word("attempt"),
    later: text("later") === "1",
  };
  return { ...common, request };
}

/** Beyond what is counted, and what is a time. */
const MOST = 2 ** 51;

/** An instance that was silent for less than this had no time to answer, in ms. */
const LEAST_SILENCE_MS = 1_000;

/** What an ended request says about the instance that it was sent to. */
export type Verdict = "answered" | "failed" | "nothing";

/**
 * Whether the instance answered. Connections that could not be made are no part of this: where HAProxy went on to
 * another instance, the line names only that one.
 */
export function verdictOf({ server, termination, totalMs, request }: Ended): Verdict {
  if (server === undefined || !request) return "nothing";
  const [who, when] = termination;
  // A caller in a hurry says nothing about an instance that all others share.
  if (who === "s" && when === "H") return totalMs < LEAST_SILENCE_MS ? "nothing" : "failed";
  // Before its headers: it died, or said what is no HTTP.
  if ("SP".includes(who ?? "") && when === "H") return "failed";
  if (who !== "-" && when !== "D") return "nothing";
  if (request.status === 503 && request.later) return "nothing";
  return [502, 503, 504].includes(request.status) ? "failed" : "answered";
}

/** How often a connection to an instance could not be made, on the way and in the end. */
export function failedConnects({ retries, termination }: Ended): number {
  return retries + (/^[Ss]C/.test(termination) ? 1 : 0);
}

/** Value of `Portolan-Error` where the sidecar answered itself. */
export function errorOf({ backend, termination, request }: Ended): string | undefined {
  if (!request || request.status < 0) return undefined;
  const own = BACKEND_ANSWERS.get(backend);
  if (own) return own.error;
  const [who, when] = termination;
  const isRefused = request.status === 400 && !isSlot(backend);
  if (!isRefused && (who === "-" || when === "D")) return undefined;
  return PROXY_ANSWERS.find(({ status }) => status === request.status)?.error;
}

function object(line: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(line);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

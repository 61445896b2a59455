/** The answers that the sidecar makes itself: problem+json (RFC 9457), marked with `Portolan-Error`. */
import { NO_INSTANCES, TCP_ONLY } from "../routing/plan.ts";

export interface Answer {
  readonly status: number;
  /** Value of `Portolan-Error`. */
  readonly error: string;
  readonly title: string;
  /** The name of the gRPC status that stands for it. */
  readonly code: string;
  readonly detail: string;
  /** Whether the request certainly reached no instance, so that anybody may send it again. */
  readonly notProcessed?: true;
}

const BAD_REQUEST = { status: 400, error: "bad_request", title: "Bad Request", code: "INVALID_ARGUMENT" } as const;

/** A request that the sidecar does not pass on as it is. */
export function badRequest(detail: string): Answer {
  return { ...BAD_REQUEST, detail };
}

/** The backend of what no row of the map file is found for. */
export const NO_SERVICE = "no_service";

/** Of backends that are no pool and answer themselves, by name. */
export const BACKEND_ANSWERS: ReadonlyMap<string, Answer> = new Map([
  [NO_SERVICE, {
    status: 404,
    error: "no_service",
    title: "Not Found",
    code: "NOT_FOUND",
    detail: "There is no such service, alias or version in this realm",
  }],
  [NO_INSTANCES, {
    status: 503,
    error: "no_instances",
    title: "Service Unavailable",
    code: "UNAVAILABLE",
    detail: "No instance can be used: there is none, or all are disabled or draining",
    notProcessed: true,
  }],
  [TCP_ONLY, badRequest("This service takes no requests: it is served at a port of its own")],
]);

export const NO_ROOM_ANSWER: Answer = {
  status: 503,
  error: "connect",
  title: "Service Unavailable",
  code: "UNAVAILABLE",
  detail: "All instances have as many requests as they may have, and as many waiting",
  notProcessed: true,
};

/**
 * What HAProxy finds wrong on the way, by its own status. (A request that it cannot parse never comes so far: HAProxy
 * answers it below HTTP with a 400 or 408 that cannot be changed.)
 */
export const PROXY_ANSWERS: readonly Answer[] = [
  badRequest("Cannot read the request"),
  {
    status: 408,
    error: "timeout",
    title: "Request Timeout",
    code: "DEADLINE_EXCEEDED",
    detail: "The request did not come whole in time",
  },
  {
    status: 500,
    error: "internal",
    title: "Internal Server Error",
    code: "INTERNAL",
    detail: "The sidecar's proxy failed",
  },
  {
    status: 502,
    error: "bad_response",
    title: "Bad Gateway",
    code: "UNAVAILABLE",
    detail: "The instance ended the connection without a whole answer, or answered with what is no HTTP",
  },
  {
    status: 503,
    error: "connect",
    title: "Service Unavailable",
    code: "UNAVAILABLE",
    detail: "No instance could be connected to, or had room in time",
    notProcessed: true,
  },
  {
    status: 504,
    error: "timeout",
    title: "Gateway Timeout",
    code: "DEADLINE_EXCEEDED",
    detail: "The instance did not answer in time",
  },
];

export const PROBLEM_TYPE = "application/problem+json";

/** The answer's body. */
export function problemBody({ title, status, code, error, detail }: Answer): string {
  return JSON.stringify({ type: "about:blank", title, status, detail, code, error });
}

/** The whole answer as HAProxy wants it in a file of its own. */
export function errorFile(answer: Answer): string {
  const body = problemBody(answer);
  const head = [
    `HTTP/1.1 ${answer.status} ${answer.title}`,
    `Content-Type: ${PROBLEM_TYPE}`,
    `Content-Length: ${new TextEncoder().encode(body).length}`,
    "Cache-Control: no-store",
    `Portolan-Error: ${answer.error}`,
    ...(answer.notProcessed ? ["Portolan-Not-Processed: 1"] : []),
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

/** Where the answer's file is, in the data folder. */
export function errorFileName({ status }: Answer): string {
  return `errors/${status}.http`;
}

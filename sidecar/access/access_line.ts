/** A line of the access log: JSON, one for each request or connection that has ended. Pure. */
import { oneLine } from "../../proto/log.ts";
import { type Ended, errorOf } from "./ended.ts";
import type { Target } from "./target.ts";

/** The line, without its end. What is not known is not there; times are whole ms. */
export function accessLine(ended: Ended, target: Target | undefined): string {
  const { frontend, server, termination, retries, endMs, queueMs, connectMs, totalMs, bytesIn, bytesOut } = ended;
  const { request } = ended;
  const reached = (ms: number | undefined) => ms === undefined || ms < 0 ? undefined : ms;
  return oneLine(JSON.stringify({
    time: new Date(endMs - Math.max(0, totalMs)).toISOString(),
    kind: request ? "request" : "connection",
    listener: frontend,
    flow: request?.flow,
    call: request?.call,
    attempt: request && attemptOf(request.attempt),
    method: request?.method,
    path: request?.path,
    route: request?.route,
    service: target?.service,
    version: target?.version,
    instance: server,
    status: reached(request?.status),
    error: errorOf(ended),
    termination,
    retries,
    queueMs: reached(queueMs),
    connectMs: reached(connectMs),
    responseMs: reached(request?.responseMs),
    totalMs: reached(totalMs),
    bytesIn,
    bytesOut,
  }));
}

/** Counted from 1, where callers count from 0 and say nothing on the first. */
function attemptOf(said: string | undefined): number | undefined {
  if (said === undefined) return 1;
  return /^[0-9]{1,9}$/.test(said) ? Number(said) + 1 : undefined;
}

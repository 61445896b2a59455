/** The parts of haproxy.cfg that are there whatever is routed: how a worker runs, waits, answers and logs. */
import { type Answer, BACKEND_ANSWERS, errorFileName, PROBLEM_TYPE, problemBody, PROXY_ANSWERS } from "./answers.ts";
import { ACCESS_SOCKET, RELAY_SOCKET, workerSocket } from "./names.ts";
import { joined, line, phrase, type Text, Word } from "./text.ts";

/** In ms, except `stopAfterMs` all of inactivity. */
export interface Timeouts {
  readonly connectMs: number;
  /** A caller's request line and headers. */
  readonly requestMs: number;
  readonly keepAliveMs: number;
  /** An instance's answer, and silence on either side after it: the longest that a call policy can ask for. */
  readonly answerMs: number;
  /** Silence on an upgraded connection, and on one that is passed on as bytes. */
  readonly tunnelMs: number;
  /** How long a worker that was replaced may go on with requests that it has. */
  readonly stopAfterMs: number;
}

export const TIMEOUTS: Timeouts = {
  connectMs: 1_000,
  requestMs: 10_000,
  // Longer than callers keep their idle connections: who closes is then the caller, who cannot be surprised by it.
  keepAliveMs: 120_000,
  answerMs: 600_000,
  tunnelMs: 3_600_000,
  stopAfterMs: 610_000,
};

/** How long an idle connection to an instance is kept, in ms: less than any server keeps one, so that none is met that is just being closed. */
export const IDLE_SERVER_MS = 100;

/** A line for each request and connection that has ended goes to the sidecar; HAProxy cuts lines at 1 024 otherwise. */
export const ACCESS_LOG = line`  log unix@${Word.fileName(ACCESS_SOCKET)} len 8192 format raw local0`;

export const RELAY = Word.fileName(RELAY_SOCKET);

/** The backend that stands for the worker that replaced this one. */
export const RELAY_BACKEND = phrase`relay`;

/** Everything ahead of the frontends. */
export function baseText(timeouts: Timeouts, generation: number): Text {
  return joined([globalText(timeouts, generation), errorsText(), defaultsText(timeouts)]);
}

function globalText({ stopAfterMs }: Timeouts, generation: number): Text {
  return joined([
    line`global`,
    line`  stats socket unix@${Word.fileName(workerSocket(generation))} mode 600 level admin`,
    line`  stats timeout 1m`,
    line`  hard-stop-after ${stopAfterMs}ms`,
    line`  # How many old workers there may be is watched by the sidecar: none is cut short before its time.`,
    line`  mworker-max-reloads 10000`,
    // Listeners are handed over at a reload. A second proxy on the same port is a mistake, not a share of the traffic.
    line`  noreuseport`,
    line``,
  ]);
}

function errorsText(): Text {
  return joined([
    line`http-errors own`,
    ...PROXY_ANSWERS.map((answer) => line`  errorfile ${answer.status} ${Word.fileName(errorFileName(answer))}`),
    line``,
  ]);
}

function defaultsText(timeouts: Timeouts): Text {
  return joined([
    line`defaults base`,
    line`  mode http`,
    line`  errorfiles own`,
    line`  timeout connect ${timeouts.connectMs}ms`,
    line`  timeout queue ${timeouts.connectMs}ms`,
    line`  timeout http-request ${timeouts.requestMs}ms`,
    line`  timeout http-keep-alive ${timeouts.keepAliveMs}ms`,
    line`  timeout client ${timeouts.answerMs}ms`,
    line`  timeout server ${timeouts.answerMs}ms`,
    line`  timeout tunnel ${timeouts.tunnelMs}ms`,
    CONNECTION_FAILURES,
    line`  # A worker that was replaced answers one more request on each kept connection, instead of cutting it.`,
    line`  option idle-close-on-response`,
    line`  # A connection opened ahead of its first request is closed without an answer to nothing.`,
    line`  option http-ignore-probes`,
    line``,
    line`defaults service from base`,
    line`  balance random(2)`,
    line`  hash-type consistent`,
    line`  # What is left of the caller's deadline; after that nobody listens.`,
    line`  http-request set-timeout server req.fhdr(portolan-timeout-ms) if { req.fhdr(portolan-timeout-ms) -m reg ^[1-9][0-9]{0,5}$ }`,
    line`  # Nobody listens either where the caller has left.`,
    line`  option abortonclose`,
    line`  # Only the sidecar says this.`,
    line`  http-response del-header Portolan-Error`,
    line`  http-response set-var(txn.later) int(1) if { status 503 } { res.fhdr(retry-after) -m found }`,
    line``,
    line`defaults bytes`,
    line`  mode tcp`,
    ACCESS_LOG,
    line`  balance random(2)`,
    line`  timeout connect ${timeouts.connectMs}ms`,
    line`  timeout queue ${timeouts.connectMs}ms`,
    line`  timeout client ${timeouts.tunnelMs}ms`,
    line`  timeout server ${timeouts.tunnelMs}ms`,
    CONNECTION_FAILURES,
    line``,
  ]);
}

const CONNECTION_FAILURES = joined([
  line`  # Connection failures only: what may have been read is never sent twice.`,
  line`  retry-on conn-failure`,
  line`  retries 2`,
  line`  option redispatch 1`,
]);

/** An answer of the sidecar's own, as an action of `http-request`. */
export function answerText(answer: Answer): Text {
  const { status, error, notProcessed } = answer;
  const mark = notProcessed ? [phrase`hdr Portolan-Not-Processed 1`] : [];
  return joined([
    phrase`http-request return status ${status} content-type ${Word.quoted(PROBLEM_TYPE)}`,
    phrase`hdr Portolan-Error ${Word.quoted(error)} hdr Cache-Control no-store`,
    ...mark,
    phrase`string ${Word.quoted(problemBody(answer))}`,
  ], " ");
}

/** Backends that are no pool. */
export const FIXED_BACKENDS = joined([
  line`# The worker that replaced this one.`,
  line`backend ${RELAY_BACKEND} from base`,
  line`  http-request set-log-level silent`,
  line`  http-reuse never`,
  line`  server successor unix@${RELAY} send-proxy-v2`,
  line``,
  ...[...BACKEND_ANSWERS].flatMap(([name, answer]) => [
    line`backend ${Word.ownBackend(name)} from base`,
    line`  ${answerText(answer)}`,
    line``,
  ]),
]);

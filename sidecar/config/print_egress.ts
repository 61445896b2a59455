/**
 * The part of haproxy.cfg that is the same for every map: how a request to the egress port finds its backend.
 * A route is found by one lookup of its name and bucket in the map file; see `assign.ts` for the rows.
 */
import { NAME } from "../../proto/names.ts";
import { type Address } from "../../proto/settings.ts";
import {
  type Answer,
  badRequest,
  errorFileName,
  NO_INSTANCES_ANSWER,
  NO_SERVICE_ANSWER,
  PROBLEM_TYPE,
  problemBody,
  PROXY_ANSWERS,
} from "./answers.ts";
import { joined, line, phrase, type Text, Word } from "./text.ts";

/** Names of files and sockets, all in the data folder, which is HAProxy's working directory. */
export const CONFIG_FILE = "haproxy.cfg";
export const ROUTES_FILE = "routes.map";
export const RELAY_SOCKET = "relay.sock";
export const MASTER_SOCKET = "master.sock";

const ROUTES = Word.fileName(ROUTES_FILE);
const RELAY = Word.fileName(RELAY_SOCKET);

/** Each generation of workers has a socket of its own: a command cannot reach a worker that it is not meant for. */
export function workerSocket(generation: number): string {
  return `worker-${generation}.sock`;
}

/** In ms, except `stopAfterMs` all of inactivity. */
export interface Timeouts {
  readonly connectMs: number;
  /** A caller's request line and headers. */
  readonly requestMs: number;
  readonly keepAliveMs: number;
  /** An instance's answer, and silence on either side after it: the longest that a call policy can ask for. */
  readonly answerMs: number;
  /** Silence on an upgraded connection. */
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

export interface EgressSettings {
  readonly realm: string;
  /** Where programs of this host call: an IP literal and a port. */
  readonly egress: Address;
  readonly timeouts: Timeouts;
}

/** Everything ahead of the service backends. */
export function egressText(settings: EgressSettings, generation: number, stickyHeaders: readonly string[]): Text {
  return joined([
    globalText(settings.timeouts, generation),
    errorsText(),
    defaultsText(settings.timeouts),
    frontendText(settings, stickyHeaders),
    FIXED_BACKENDS,
  ]);
}

function globalText({ stopAfterMs }: Timeouts, generation: number): Text {
  return joined([
    line`# Written by the sidecar from the cluster map. It is replaced at the next change.`,
    line`global`,
    line`  stats socket unix@${Word.fileName(workerSocket(generation))} mode 600 level admin`,
    line`  stats timeout 1m`,
    line`  hard-stop-after ${stopAfterMs}ms`,
    line`  mworker-max-reloads 8`,
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
    line`  # Connection failures only: what may have been read is never sent twice.`,
    line`  retry-on conn-failure`,
    line`  retries 2`,
    line`  option redispatch 1`,
    line`  # A worker that was replaced answers one more request on each kept connection, instead of cutting it.`,
    line`  option idle-close-on-response`,
    line`  # A connection opened ahead of its first request is closed without an answer to nothing.`,
    line`  option http-ignore-probes`,
    line``,
    line`defaults service from base`,
    line`  # By weight, to the request. The less busy of two at random would need a ring of 115 KB for each server.`,
    line`  balance roundrobin`,
    line`  # No idle connection to an instance: one that the instance closes just then would cost a request its answer.`,
    line`  option http-server-close`,
    line`  # Only the sidecar says this.`,
    line`  http-response del-header Portolan-Error`,
    line``,
  ]);
}

function frontendText({ realm, egress }: EgressSettings, stickyHeaders: readonly string[]): Text {
  return joined([
    line`frontend egress from base`,
    line`  bind ${Word.socketAddress(egress.host, egress.port)}`,
    line`  bind unix@${RELAY} mode 600 accept-proxy`,
    line`  # A worker that was replaced knows an old map and cannot be told a new one: it passes everything on unread.`,
    line`  http-request allow if { stopping }`,
    routeText(),
    refuse(
      `Cannot serve the realm that is asked for: this sidecar serves "${realm}"`,
      phrase`{ req.fhdr_cnt(portolan-realm) gt 0 } !{ req.fhdr(portolan-realm) -m str ${Word.name(realm)} }`,
    ),
    refuse("Cannot choose a realm: expected one Portolan-Realm header", phrase`{ req.fhdr_cnt(portolan-realm) gt 1 }`),
    refuse("Cannot choose a flow: expected one Portolan-Flow header", phrase`{ req.fhdr_cnt(portolan-flow) gt 1 }`),
    line`  http-request set-header Portolan-Flow %[uuid()] unless { req.fhdr(portolan-flow) -m len gt 0 }`,
    line`  # Which of a split's versions: the bucket, from 10000 to 19999, of the flow or of a sticky header's value.`,
    line`  http-request set-var(txn.key) req.fhdr(portolan-flow)`,
    ...stickyText(stickyHeaders),
    line`  http-request set-var(txn.bucket) var(txn.route),concat(:,txn.key),xxh32,mul(10000),div(4294967296),add(10000)`,
    line`  http-request set-var(txn.backend) var(txn.route),concat(/,txn.bucket),map_beg(${ROUTES})`,
    line`  use_backend relay if { stopping }`,
    line`  use_backend %[var(txn.backend)] if { var(txn.backend) -m found }`,
    line`  default_backend no_service`,
    line``,
  ]);
}

/** The name that is called, as `txn.route`: from the header, else from the host. */
function routeText(): Text {
  const version = phrase`{ var(txn.route) -m reg ${Word.quoted("^v[0-9]+\\.")} }`;
  return joined([
    refuse(
      "Cannot choose a service: expected one Portolan-Service header",
      phrase`{ req.fhdr_cnt(portolan-service) gt 1 }`,
    ),
    line`  http-request set-var(txn.route) req.fhdr(portolan-service) if { req.fhdr_cnt(portolan-service) eq 1 }`,
    line`  http-request set-var(txn.host) req.fhdr(host),lower if { req.fhdr_cnt(portolan-service) eq 0 } { req.fhdr_cnt(host) eq 1 }`,
    line`  http-request set-var(txn.route) var(txn.host),field(1,:),field(-3,.,0) if { var(txn.host) -m reg ${HOST} }`,
    refuse(
      "Cannot choose a service: expected a Portolan-Service header, or a host like NAME.portolan.localhost",
      phrase`!{ var(txn.route) -m found }`,
    ),
    refuse(
      "Cannot choose a service: expected NAME, ALIAS.NAME or vNUMBER.NAME of a-z, 0-9 and inner hyphens",
      phrase`!{ var(txn.route) -m reg ${ROUTE} }`,
    ),
    ...[
      phrase`!{ var(txn.route) -m reg ${VERSION} }`,
      phrase`{ var(txn.route),field(1,.),ltrim(v),add(0) gt 4294967295 }`,
    ]
      .map((bad) => refuse("Cannot choose a version: expected v and a number from 1 to 4294967295", version, bad)),
    line`  http-request set-var(txn.route) var(txn.route),field(2,.) if { var(txn.route) -m beg live. }`,
  ]);
}

const ROUTE = Word.quoted(`^(?:${NAME}\\.)?${NAME}$`);
const HOST = Word.quoted("^[^:]+\\.portolan\\.localhost(?::[0-9]{1,5})?$");
const VERSION = Word.quoted("^v[1-9][0-9]{0,9}\\.");

/** Which header is sticky stands in the map file, so that only a header's name never seen before changes this text. */
function stickyText(headers: readonly string[]): readonly Text[] {
  if (headers.length === 0) return [];
  return [
    line`  http-request set-var(txn.sticky) var(txn.route),concat(/s),map_beg(${ROUTES})`,
    ...headers.map(Word.header).map((header) =>
      line`  http-request set-var(txn.key) req.fhdr(${header}) if { var(txn.sticky) -m str ${header} } { req.fhdr(${header}) -m found }`
    ),
  ];
}

function refuse(detail: string, ...conditions: readonly Text[]): Text {
  return line`  ${answerText(badRequest(detail))} if ${joined(conditions, " ")}`;
}

function answerText(answer: Answer): Text {
  const { status, error, notProcessed } = answer;
  const mark = notProcessed ? [phrase`hdr Portolan-Not-Processed 1`] : [];
  return joined([
    phrase`http-request return status ${status} content-type ${Word.quoted(PROBLEM_TYPE)}`,
    phrase`hdr Portolan-Error ${Word.quoted(error)} hdr Cache-Control no-store`,
    ...mark,
    phrase`string ${Word.quoted(problemBody(answer))}`,
  ], " ");
}

const FIXED_BACKENDS = joined([
  line`# The worker that replaced this one.`,
  line`backend relay from base`,
  line`  http-reuse never`,
  line`  server successor unix@${RELAY} send-proxy-v2`,
  line``,
  line`backend no_service from base`,
  line`  ${answerText(NO_SERVICE_ANSWER)}`,
  line``,
  line`backend no_instances from base`,
  line`  ${answerText(NO_INSTANCES_ANSWER)}`,
  line``,
]);

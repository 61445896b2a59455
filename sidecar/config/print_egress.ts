/**
 * The frontends of haproxy.cfg: how a request to the egress port, or to a port of one service, finds its backend. A
 * route is found by one lookup of its name and bucket in the map file; `routing/rows.ts` says what stands there.
 */
import { NAME } from "../../proto/names.ts";
import { type Address } from "../../proto/settings.ts";
import type { HaproxyPlan, Listener } from "../routing/plan.ts";
import { SLOT_START } from "../routing/slot.ts";
import { connectionFormat, requestFormat } from "./access_format.ts";
import { badRequest, NO_SERVICE } from "./answers.ts";
import { ROUTES_FILE } from "./names.ts";
import { ACCESS_LOG, answerText, baseText, FIXED_BACKENDS, RELAY, RELAY_BACKEND, type Timeouts } from "./print_base.ts";
import { joined, line, phrase, type Text, Word } from "./text.ts";

const ROUTES = Word.fileName(ROUTES_FILE);

export interface EgressSettings {
  readonly realm: string;
  /** Where programs of this host call: an IP literal and a port. */
  readonly egress: Address;
  readonly timeouts: Timeouts;
}

/** What the frontends are printed from. */
export type Frontends = Pick<HaproxyPlan, "listeners" | "stickyHeaders">;

/** Everything ahead of the service backends. */
export function egressText(settings: EgressSettings, generation: number, plan: Frontends): Text {
  return joined([
    baseText(settings.timeouts, generation),
    rulesText(settings, plan),
    line`frontend egress from egress`,
    line`  bind ${Word.socketAddress(settings.egress.host, settings.egress.port)}`,
    line`  bind unix@${RELAY} mode 600 accept-proxy`,
    CHOICE,
    ...Array.from(plan.listeners, ([port, listener]) => listenerText(settings.egress.host, port, listener)),
    FIXED_BACKENDS,
  ]);
}

/** What every request goes through, as defaults of the frontends. Each rule costs each request: the usual one ends early. */
function rulesText({ realm }: EgressSettings, { listeners, stickyHeaders }: Frontends): Text {
  return joined([
    line`defaults egress from base`,
    ACCESS_LOG,
    requestFormat(),
    ...([...listeners.values()].some(({ speaks }) => speaks === "http") ? [NAME_OF_PORT] : []),
    line`  # A worker that was replaced knows an old map and cannot be told a new one: it passes everything on unread.`,
    line`  http-request allow if { stopping }`,
    line`  http-request set-var(txn.call) req.fhdr(portolan-call)`,
    line`  http-request set-var(txn.attempt) req.fhdr(portolan-attempt)`,
    line`  http-request set-var(txn.route) req.fhdr(portolan-service)`,
    refuse(
      "Cannot choose a service: expected one Portolan-Service header",
      phrase`{ req.fhdr_cnt(portolan-service) gt 1 }`,
    ),
    refuse(
      `Cannot serve the realm that is asked for: this sidecar serves "${realm}"`,
      phrase`!{ req.fhdr(portolan-realm) -m str ${Word.name(realm)} } { req.fhdr_cnt(portolan-realm) gt 0 }`,
    ),
    refuse("Cannot choose a realm: expected one Portolan-Realm header", phrase`{ req.fhdr_cnt(portolan-realm) gt 1 }`),
    refuse("Cannot choose a flow: expected one Portolan-Flow header", phrase`{ req.fhdr_cnt(portolan-flow) gt 1 }`),
    line`  http-request set-var(txn.flow) req.fhdr(portolan-flow)`,
    line`  http-request set-header Portolan-Flow %[uuid()] unless { var(txn.flow) -m len gt 0 }`,
    line`  http-request set-var(txn.flow) req.fhdr(portolan-flow) unless { var(txn.flow) -m len gt 0 }`,
    line`  # A name with neither a split nor a sticky header has this one row.`,
    line`  http-request set-var(txn.backend) var(txn.route),concat(/1),map_beg(${ROUTES}) if { var(txn.route) -m reg ${ROUTE} }`,
    line`  http-request allow if { var(txn.backend) -m found }`,
    routeText(),
    splitText(stickyHeaders),
    line`  default_backend ${Word.ownBackend(NO_SERVICE)}`,
    line``,
  ]);
}

const NAME_OF_PORT = joined([
  line`  # At a port of its own a service needs no name.`,
  line`  http-request set-header Portolan-Service %[fe_name,field(2,.)] if { fe_name -m beg local. }`,
]);

const CHOICE = joined([
  line`  use_backend ${RELAY_BACKEND} if { stopping }`,
  line`  use_backend %[var(txn.backend)] if { var(txn.backend) -m found }`,
  line``,
]);

/** A port of one service. */
function listenerText(host: string, port: number, { service, speaks }: Listener): Text {
  const name = Word.name(service);
  const bind = line`  bind ${Word.socketAddress(host, port)}`;
  if (speaks === "http") return joined([line`frontend local.${name} from egress`, bind, CHOICE]);
  return joined([
    line`frontend local.${name} from bytes`,
    bind,
    connectionFormat(),
    line`  # Each connection is a flow of its own.`,
    line`  tcp-request content set-var(txn.bucket) rand(10000),add(10000)`,
    line`  tcp-request content set-var(txn.backend) str(${name}),concat(/p,txn.bucket),map_beg(${ROUTES})`,
    line`  tcp-request content reject unless { var(txn.backend) -m beg ${Word.name(SLOT_START)} }`,
    line`  use_backend %[var(txn.backend)]`,
    line``,
  ]);
}

/** The name that is called, as `txn.route`: the header's, else that of the host. */
function routeText(): Text {
  const version = phrase`{ var(txn.route) -m reg ${Word.quoted("^v[0-9]+\\.")} }`;
  return joined([
    line`  http-request set-var(txn.host) req.fhdr(host),lower if !{ var(txn.route) -m found } { req.fhdr_cnt(host) eq 1 }`,
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

/**
 * Which of a split's versions. Which header is sticky stands in the map file, so that only a header's name never seen
 * before changes this text.
 */
function splitText(stickyHeaders: readonly string[]): Text {
  return joined([
    line`  # The bucket, from 10000 to 19999, of the flow or of a sticky header's value.`,
    line`  http-request set-var(txn.key) var(txn.flow)`,
    line`  http-request set-var(txn.sticky) var(txn.route),concat(/s),map_beg(${ROUTES})`,
    ...stickyHeaders.map(Word.header).map((header) =>
      line`  http-request set-var(txn.key) req.fhdr(${header}) if { var(txn.sticky) -m str ${header} } { req.fhdr(${header}) -m found }`
    ),
    line`  http-request set-var(txn.bucket) var(txn.route),concat(:,txn.key),xxh32,mul(10000),div(4294967296),add(10000)`,
    line`  http-request set-var(txn.backend) var(txn.route),concat(/,txn.bucket),map_beg(${ROUTES})`,
  ]);
}

function refuse(detail: string, ...conditions: readonly Text[]): Text {
  return line`  ${answerText(badRequest(detail))} if ${joined(conditions, " ")}`;
}

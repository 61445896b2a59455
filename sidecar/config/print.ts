/** A plan as HAProxy reads it: haproxy.cfg and the map file. Pure; whatever is no checked word throws. */
import { type EgressSettings, egressText, type Frontends } from "./print_egress.ts";
import type { Backend, Form, HaproxyPlan, Server } from "../routing/plan.ts";
import { NO_ROOM_ANSWER } from "./answers.ts";
import { formText } from "./form.ts";
import { answerText, IDLE_SERVER_MS } from "./print_base.ts";
import { joined, line, phrase, type Text, Word } from "./text.ts";

export interface Files {
  readonly config: Text;
  readonly routes: Text;
  /** Of the map that they say: `epoch.revision`, or `none`. */
  readonly position: string;
}

export interface Printed {
  /** Counts the workers that are started from it. */
  readonly generation: number;
  /** Default `none`. */
  readonly position?: string;
}

/** Prints `plan`. Servers that are leaving are left out. */
export function print(plan: HaproxyPlan, settings: EgressSettings, { generation, position = "none" }: Printed): Files {
  return {
    position,
    config: joined([
      headText(plan, settings, generation),
      frontendsText(plan, settings, generation),
      ...Array.from(plan.backends.values(), (backend) => remembered(printedBackends, backend, backendText)),
      remembered(printedSpares, plan.spares, sparesText),
    ]),
    routes: remembered(printedRoutes, plan.routes, routesText),
  };
}

/** One row: a key and what it leads to. */
export function rowText(key: string, value: string): Text {
  return line`${Word.rowKey(key)} ${Word.rowValue(key, value)}`;
}

// A change touches a few things of many; the others are the same as before.
const printedBackends = new WeakMap<Backend, Text>();
const printedSpares = new WeakMap<HaproxyPlan["spares"], Text>();
const printedRoutes = new WeakMap<HaproxyPlan["routes"], Text>();

function remembered<K extends WeakKey>(known: WeakMap<K, Text>, key: K, print: (key: K) => Text): Text {
  const text = known.get(key) ?? print(key);
  known.set(key, text);
  return text;
}

/** Prints entries, those that were not printed the last time. */
class Entries {
  #last: ReadonlyMap<string, { readonly value: string; readonly text: Text }> = new Map();

  constructor(private readonly print: (key: string, value: string) => Text) {}

  text(entries: Iterable<readonly [key: string, value: string]>): Text {
    const printed = new Map<string, { readonly value: string; readonly text: Text }>();
    for (const [key, value] of entries) {
      const known = this.#last.get(key);
      printed.set(key, known?.value === value ? known : { value, text: this.print(key, value) });
    }
    this.#last = printed;
    return joined(Array.from(printed.values(), ({ text }) => text));
  }
}

const rows = new Entries(rowText);
const spareBackends = new Entries((slot) =>
  joined([line`# spare`, line`backend ${Word.slot(slot)} from service`, line``])
);

let printedEgress: Frontends & { settings: EgressSettings; generation: number; text: Text } | undefined;

/** They change with a reload only. */
function frontendsText({ listeners, stickyHeaders }: Frontends, settings: EgressSettings, generation: number): Text {
  const last = printedEgress;
  if (
    last?.settings === settings && last.generation === generation && last.listeners === listeners &&
    last.stickyHeaders === stickyHeaders
  ) return last.text;
  const text = egressText(settings, generation, { listeners, stickyHeaders });
  printedEgress = { listeners, stickyHeaders, settings, generation, text };
  return text;
}

/** What the rest does not say; `parse.ts` reads it. */
function headText({ nextSlot, stickyHeaders }: HaproxyPlan, { realm }: EgressSettings, generation: number): Text {
  return joined([
    line`# Written by the sidecar from the cluster map. It is replaced at the next change.`,
    line`# realm ${Word.name(realm)}`,
    line`# generation ${generation}`,
    line`# next slot ${nextSlot}`,
    ...stickyHeaders.map((header) => line`# sticky header ${Word.header(header)}`),
  ]);
}

function sparesText(spares: readonly string[]): Text {
  return spareBackends.text(spares.map((slot) => [slot, slot]));
}

function routesText(routes: HaproxyPlan["routes"]): Text {
  return rows.text(routes);
}

function backendText(backend: Backend): Text {
  const { slot, service, pool, form, servers } = backend;
  const holds = pool === "all" ? phrase`all instances` : phrase`version ${pool}`;
  return joined([
    line`# ${Word.name(service)}: ${holds}${formText(form)}`,
    line`backend ${Word.slot(slot)} from ${form.speaks === "tcp" ? phrase`bytes` : phrase`service`}`,
    ...balanceText(form),
    ...answerTimeText(form),
    ...queueText(form),
    ...Array.from(servers.values()).filter(({ state }) => state !== "leaving").map((one) => serverLine(one, form)),
    line``,
  ]);
}

/** The less busy one of two at random is what the defaults say; bytes have no key to hash. */
function balanceText({ speaks, balancer }: Form): readonly Text[] {
  if (balancer === "round_robin") return [line`  balance roundrobin`];
  if (balancer !== "ring_hash" || speaks === "tcp") return [];
  return [
    line`  balance hash var(txn.key)`,
    line`  http-request set-var(txn.key) var(txn.flow) unless { var(txn.key) -m found }`,
  ];
}

/** The smaller of the policy's time and what the caller has left. */
function answerTimeText({ speaks, answerMs }: Form): readonly Text[] {
  if (answerMs === 0) return [];
  const longer = phrase`if { req.fhdr(portolan-timeout-ms),sub(${answerMs}) gt 0 }`;
  return [
    line`  timeout server ${answerMs}ms`,
    ...(speaks === "tcp" ? [] : [line`  http-request set-timeout server ${answerMs}ms ${longer}`]),
  ];
}

/** A server's own limit would only send what is too much to the queue of all. */
function queueText({ speaks, maxQueue }: Form): readonly Text[] {
  if (maxQueue === 0) return [];
  const full = phrase`if { avg_queue ge ${maxQueue} }`;
  return speaks === "tcp"
    ? [line`  tcp-request content reject ${full}`]
    : [line`  ${answerText(NO_ROOM_ANSWER)} ${full}`];
}

function serverLine({ name, host, port, weight, state }: Server, form: Form): Text {
  const off = state === "ready" ? phrase`` : phrase` disabled`;
  return line`  server ${Word.server(name)} ${Word.socketAddress(host, port)} weight ${weight}${
    serverOptions(form)
  }${off}`;
}

/** What is said of each server, in the file and on the socket, as a dynamic server inherits nothing. */
export function serverOptions({ speaks, maxConnections }: Form): Text {
  return joined([
    ...(speaks === "http1" ? [phrase` pool-purge-delay ${IDLE_SERVER_MS}ms`] : []),
    ...(speaks === "h2c" ? [phrase` proto h2`] : []),
    ...(maxConnections > 0 ? [phrase` maxconn ${maxConnections}`] : []),
  ]);
}

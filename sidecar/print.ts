/** A plan as HAProxy reads it: haproxy.cfg and the map file. Pure; whatever is no checked word throws. */
import { type EgressSettings, egressText } from "./egress.ts";
import type { Backend, HaproxyPlan, Server } from "./plan.ts";
import { joined, line, phrase, type Text, Word } from "./text.ts";

export interface Files {
  readonly config: Text;
  readonly routes: Text;
}

/** Prints `plan`; `generation` counts the workers that are started from it. Servers that are leaving are left out. */
export function print(plan: HaproxyPlan, settings: EgressSettings, generation: number): Files {
  return {
    config: joined([
      egressText(settings, generation, plan.stickyHeaders),
      ...Array.from(plan.backends.values(), backendText),
    ]),
    routes: routesText(plan.routes),
  };
}

/** Rows as the map file and the socket take them, one a line. */
export function routesText(routes: ReadonlyMap<string, string>): Text {
  return joined(Array.from(routes, ([key, value]) => rowText(key, value)));
}

/** One row: a key and what it leads to. */
export function rowText(key: string, value: string): Text {
  return line`${Word.rowKey(key)} ${Word.rowValue(key, value)}`;
}

// A change touches a few backends of many; the others are the same objects as before.
const printed = new WeakMap<Backend, Text>();

function backendText(backend: Backend): Text {
  const known = printed.get(backend);
  if (known) return known;
  const { slot, service, pool, servers } = backend;
  const holds = pool === "all" ? phrase`all instances` : phrase`version ${pool}`;
  const text = joined([
    line`# ${Word.name(service)}: ${holds}`,
    line`backend ${Word.slot(slot)} from service`,
    ...Array.from(servers.values()).filter(({ state }) => state !== "leaving").map(serverText),
    line``,
  ]);
  printed.set(backend, text);
  return text;
}

function serverText({ name, host, port, weight, state }: Server): Text {
  const off = state === "ready" ? phrase`` : phrase` disabled`;
  return line`  server ${Word.name(name)} ${Word.socketAddress(host, port)} weight ${weight}${off}`;
}

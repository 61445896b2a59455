/** A plan as HAProxy reads it: haproxy.cfg and the map file. Pure; whatever is no checked word throws. */
import { type EgressSettings, egressText } from "./print_egress.ts";
import type { Backend, HaproxyPlan, Server } from "../routing/plan.ts";
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
      ...Array.from(plan.backends.values(), (backend) => remembered(printedBackends, backend, backendText)),
    ]),
    routes: remembered(printedRoutes, plan.routes, routesText),
  };
}

/** One row: a key and what it leads to. */
export function rowText(key: string, value: string): Text {
  return line`${Word.rowKey(key)} ${Word.rowValue(key, value)}`;
}

// A change touches a few objects of many; the others are the same as before.
const printedBackends = new WeakMap<Backend, Text>();
const printedRoutes = new WeakMap<HaproxyPlan["routes"], Text>();

function remembered<K extends WeakKey>(known: WeakMap<K, Text>, key: K, print: (key: K) => Text): Text {
  const text = known.get(key) ?? print(key);
  known.set(key, text);
  return text;
}

function routesText(routes: HaproxyPlan["routes"]): Text {
  return joined(Array.from(routes, ([key, value]) => rowText(key, value)));
}

function backendText(backend: Backend): Text {
  const { slot, service, pool, servers } = backend;
  const holds = pool === "all" ? phrase`all instances` : phrase`version ${pool}`;
  return joined([
    line`# ${Word.name(service)}: ${holds}`,
    line`backend ${Word.slot(slot)} from service`,
    ...Array.from(servers.values()).filter(({ state }) => state !== "leaving").map(serverText),
    line``,
  ]);
}

function serverText({ name, host, port, weight, state }: Server): Text {
  const off = state === "ready" ? phrase`` : phrase` disabled`;
  return line`  server ${Word.name(name)} ${Word.socketAddress(host, port)} weight ${weight}${off}`;
}

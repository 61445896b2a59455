/** Ports of services on this host: whether one can be had, found out when it is asked for; see `haproxy/new_ports.ts`. */
import type { Address } from "../proto/settings.ts";
import { whyTaken } from "./haproxy/new_ports.ts";
import type { Listener } from "./routing/plan.ts";

/** A port that a service wants, and who has or wants others. */
export interface Asked {
  readonly service: string;
  readonly port: number;
  /** What HAProxy holds already. */
  readonly held: ReadonlyMap<number, Listener>;
  /** Ports of others that are wanted now. */
  readonly wanted: ReadonlyMap<string, { readonly name: string; readonly localPort?: number }>;
  /** Services that stay as they run. */
  readonly frozen: ReadonlySet<string>;
  readonly egress: Address;
}

/** Why `service` cannot be served at its port, as a sentence; `undefined` if it can. */
export function localPortProblem({ service, port, held, wanted, frozen, egress }: Asked): string | undefined {
  const problem = (why: string) => `Cannot serve it at ${egress.host}:${port}: ${why}`;
  const holder = held.get(port)?.service;
  if (holder !== undefined && holder !== service && frozen.has(holder)) return problem(`it is the port of "${holder}"`);
  for (const other of wanted.values()) {
    if (other.localPort === port && other.name !== service) return problem(`it is the port of "${other.name}"`);
  }
  if (port === egress.port) return problem("it is the egress port of this sidecar");
  if (holder !== undefined) return undefined;
  const why = whyTaken({ hostname: egress.host, port });
  return why === undefined ? undefined : problem(why);
}

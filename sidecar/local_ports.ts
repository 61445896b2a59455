/** Ports of services on this host: whether one can be had, found out before HAProxy fails at it. */
import type { Address } from "../proto/settings.ts";
import type { Listener } from "./routing/plan.ts";

export interface Asked {
  readonly service: string;
  readonly port: number;
  /** What HAProxy holds already. */
  readonly held: ReadonlyMap<number, Listener>;
  /** Ports of others that are wanted now. */
  readonly wanted: Iterable<{ readonly name: string; readonly localPort?: number }>;
  readonly egress: Address;
}

/** Why `service` cannot be served at its port, as a sentence; `undefined` if it can. */
export function localPortProblem({ service, port, held, wanted, egress }: Asked): string | undefined {
  const problem = (why: string) => `Cannot serve it at ${egress.host}:${port}: ${why}`;
  for (const other of wanted) {
    if (other.localPort === port && other.name !== service) return problem(`it is the port of "${other.name}"`);
  }
  if (port === egress.port) return problem("it is the egress port of this sidecar");
  if (held.has(port)) return undefined;
  try {
    Deno.listen({ hostname: egress.host, port }).close();
    return undefined;
  } catch (error) {
    return problem(error instanceof Deno.errors.AddrInUse ? "somebody else uses it" : (error as Error).message);
  }
}

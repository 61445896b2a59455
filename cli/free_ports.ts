import { type Address, formatAddress } from "../proto/settings.ts";
import { EXIT, Failure } from "./command.ts";

/** Fails, naming flag and address, when somebody listens where we are to: sooner and plainer than a child would. */
export function requireFree(listeners: Readonly<Record<string, Address>>): void {
  const held: Deno.Listener[] = [];
  try {
    for (const [flag, address] of Object.entries(listeners)) held.push(listen(flag, address));
  } finally {
    for (const listener of held) listener.close();
  }
}

function listen(flag: string, { host, port }: Address): Deno.Listener {
  const where = formatAddress({ host, port });
  if (port === 0) throw new Failure(EXIT.usage, `--${flag} "${where}": expected a port that others can be told`);
  try {
    return Deno.listen({ hostname: host, port });
  } catch (error) {
    const why = error instanceof Deno.errors.AddrInUse ? "the port is taken" : (error as Error).message;
    const stop = flag === "egress" ? STOP_HAPROXY : "stop what uses it (another portolan up?)";
    throw new Failure(EXIT.refused, `Cannot listen on ${where}: ${why}; ${stop} or choose another one with --${flag}`);
  }
}

const STOP_HAPROXY =
  "stop what uses it (another portolan up? a HAProxy that a sidecar has left behind: start ./portolan " +
  "sidecar --stop-haproxy with its data folder, then stop that)";

/**
 * Ports that HAProxy is to listen at, tried before it fails at them, at two moments. When a service asks for one
 * (`local_ports.ts`), only that service goes without it, and says why; but the reload may come much later, and then
 * `refuseTaken` looks once more. What HAProxy holds itself is known by its plan there; here by the files that it runs,
 * whoever wrote them.
 */
import { Refused } from "./data_folder.ts";

interface Bind {
  readonly hostname: string;
  readonly port: number;
}

/** Somebody else has a port that HAProxy was to listen at. */
export class PortTaken extends Refused {
  constructor(message: string, readonly port: number) {
    super(message);
  }
}

/**
 * Throws `PortTaken` if HAProxy cannot listen where `next` says and `running`, which it holds, does not. It would find out
 * itself, but it has the worker that serves let go of its own ports meanwhile: for two seconds nobody could call.
 */
export function refuseTaken(next: string, running: string): void {
  const held = bindsOf(running);
  for (const [address, options] of bindsOf(next)) {
    if (held.has(address) || [...held.values()].some((one) => isOneOfAll(one, options))) continue;
    const why = whyTaken(options);
    if (why !== undefined) throw new PortTaken(`Cannot listen at ${address}: ${why}`, options.port);
  }
}

/** Whether one of the two is at all addresses of the host, with the other's port: HAProxy passes that on to itself. */
function isOneOfAll(a: Bind, b: Bind): boolean {
  return a.port === b.port && [a, b].some(({ hostname }) => hostname === "0.0.0.0" || hostname === "::");
}

/** Why nobody new can listen there now, the end of a sentence; `undefined` if somebody can. */
export function whyTaken(at: Bind): string | undefined {
  try {
    Deno.listen(at).close();
    return undefined;
  } catch (error) {
    return error instanceof Deno.errors.AddrInUse ? "somebody else uses it" : (error as Error).message;
  }
}

/** Where a configuration has HAProxy listen, by `host:port`. */
export function bindsOf(config: string): ReadonlyMap<string, Bind> {
  const binds = new Map<string, Bind>();
  for (const [, host = "", port = ""] of config.matchAll(/^ {2}bind ([0-9.]+|\[[0-9a-f:.]+\]):([0-9]+)(?: |$)/gm)) {
    binds.set(`${host}:${port}`, { hostname: host.replace(/^\[|\]$/g, ""), port: Number(port) });
  }
  return binds;
}

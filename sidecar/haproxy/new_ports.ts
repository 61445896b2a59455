/**
 * Ports that HAProxy is to listen at, tried before it fails at them, at two moments. When a service asks for one
 * (`local_ports.ts`), only that service goes without it, and says why; but the reload may come much later, and then
 * `refuseTaken` looks once more. What HAProxy holds itself is known by its plan there; here by the files that it runs,
 * whoever wrote them.
 */
import { Refused } from "./data_folder.ts";

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
    if (held.has(address)) continue;
    const why = whyTaken(options);
    if (why !== undefined) throw new PortTaken(`Cannot listen at ${address}: ${why}`, options.port);
  }
}

/** Why nobody new can listen there now, the end of a sentence; `undefined` if somebody can. */
export function whyTaken(at: { readonly hostname: string; readonly port: number }): string | undefined {
  try {
    Deno.listen(at).close();
    return undefined;
  } catch (error) {
    return error instanceof Deno.errors.AddrInUse ? "somebody else uses it" : (error as Error).message;
  }
}

function bindsOf(config: string): ReadonlyMap<string, { readonly hostname: string; readonly port: number }> {
  const binds = new Map<string, { readonly hostname: string; readonly port: number }>();
  for (const [, host = "", port = ""] of config.matchAll(/^ {2}bind ([0-9.]+|\[[0-9a-f:.]+\]):([0-9]+)(?: |$)/gm)) {
    binds.set(`${host}:${port}`, { hostname: host.replace(/^\[|\]$/g, ""), port: Number(port) });
  }
  return binds;
}

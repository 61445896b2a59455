/** Listening for HTTP, whatever becomes of connections. */
import type { Log } from "../../proto/log.ts";
import { type Address, formatAddress } from "../../proto/settings.ts";
import { sleep } from "../../proto/sleep.ts";

export interface Listener {
  readonly address: Address;
  /** Accepts nobody any more; resolves when what is under way has been answered. */
  shutdown(): Promise<void>;
}

/** Between two tries to accept connections again, in ms. */
const AGAIN_MS = 100;

/**
 * Serves HTTP. The runtime stops to listen, and ends the program, when a connection cannot be accepted, as when no more
 * files may be open: here it listens again. Throws when it cannot listen from the start.
 */
export function listen({ host, port }: Address, log: Log, handler: Deno.ServeHandler<Deno.NetAddr>): Listener {
  const stopped = new AbortController();
  const serve = (at: number) => Deno.serve({ hostname: host, port: at, onListen() {}, onError: failed(log) }, handler);
  let server: ReturnType<typeof serve>;
  try {
    server = serve(port);
  } catch (error) {
    throw new Error(`Cannot listen on ${formatAddress({ host, port })} for HTTP: ${(error as Error).message}`);
  }
  const address = { host, port: server.addr.port };
  const again = async (reason: unknown) => {
    log.warn("Cannot accept HTTP connections: trying again", { reason: String(reason) });
    while (!stopped.signal.aborted) {
      await sleep(AGAIN_MS, stopped.signal);
      if (stopped.signal.aborted) return;
      try {
        server = serve(address.port);
        return void server.finished.catch(again);
      } catch {
        // Its port is not free yet, or files are still missing.
      }
    }
  };
  server.finished.catch(again);
  return {
    address,
    async shutdown() {
      stopped.abort();
      await server.shutdown();
    },
  };
}

/** What is to be said of a response whose body failed half way: in the log, where everything is. */
function failed(log: Log) {
  return (error: unknown): Response => {
    log.error("Cannot go on with an HTTP response", { error });
    return new Response(null, { status: 500 });
  };
}

/** Listening for gRPC, whatever becomes of connections. */
import * as grpc from "@grpc/grpc-js";
import type { Log } from "../../proto/log.ts";
import { type Address, formatAddress } from "../../proto/settings.ts";
import { sleep } from "../../proto/sleep.ts";

/** How often it is looked whether connections are accepted, and how long that may take, in ms. */
interface Looks {
  readonly everyMs: number;
  readonly answerMs: number;
}

/** Long enough for a server that thousands of clients come back to at once. */
const LOOKS: Looks = { everyMs: 1_000, answerMs: 5_000 };
/** A timer that is so much too late, in ms, says that this process was busy, and nothing else. */
const BUSY_MS = 250;

/**
 * Listens, and answers with the address. The runtime accepts nobody any more, and tells nobody, once it could not accept a
 * connection, as when no more files may be open: here that is found out and mended, until `stopped` aborts.
 */
export async function listen(
  server: grpc.Server,
  { host, port }: Address,
  log: Log,
  stopped: AbortSignal,
  looks = LOOKS,
): Promise<Address> {
  const address = { host, port: await bind(server, { host, port }) };
  watchOver(server, address, log, stopped, looks).catch((error) => log.error("Cannot look after gRPC", { error }));
  return address;
}

function bind(server: grpc.Server, address: Address): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(formatAddress(address), grpc.ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(new Error(`Cannot listen on ${formatAddress(address)} for gRPC: ${error.message}`));
      else resolve(port);
    });
  });
}

async function watchOver(
  server: grpc.Server,
  address: Address,
  log: Log,
  stopped: AbortSignal,
  { everyMs, answerMs }: Looks,
): Promise<void> {
  for (let silent = 0; !stopped.aborted;) {
    await sleep(everyMs, stopped);
    const heard = await speaks(address, answerMs, stopped);
    if (heard !== undefined) silent = heard ? 0 : silent + 1;
    // Once may be chance: all streams end with the listener.
    if (silent < 2 || stopped.aborted) continue;
    log.warn("gRPC connections are not accepted any more: listening again");
    server.unbind(formatAddress(address));
    silent = await bind(server, address).then(() => 0, () => silent);
  }
}

/** Whether somebody answers: a server of HTTP/2 speaks first. Nothing where that cannot be found out. */
async function speaks(
  { host: hostname, port }: Address,
  answerMs: number,
  stopped: AbortSignal,
): Promise<boolean | undefined> {
  if (stopped.aborted) return undefined;
  let connection;
  try {
    connection = await Deno.connect({ hostname, port });
  } catch (error) {
    return error instanceof Deno.errors.ConnectionRefused ? false : undefined;
  }
  const begun = performance.now();
  const giveUp = () => connection.close();
  const late = setTimeout(giveUp, answerMs);
  stopped.addEventListener("abort", giveUp);
  try {
    return await connection.read(new Uint8Array(1)) !== null;
  } catch {
    return stopped.aborted || performance.now() - begun > answerMs + BUSY_MS ? undefined : false;
  } finally {
    clearTimeout(late);
    stopped.removeEventListener("abort", giveUp);
    try {
      connection.close();
    } catch {
      // It was late.
    }
  }
}

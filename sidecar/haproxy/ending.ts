/** Ending HAProxy: no new connections, requests under way end, for a while, then it does. */
import { sleep } from "../../proto/sleep.ts";
import { NoColumn } from "./columns.ts";
import { CommandSocket } from "./command_socket.ts";
import type { Running } from "./running.ts";
import { requestsUnderWay } from "./statistics.ts";

const TERMINATE_MS = 2_000;

/** Resolves when it has ended. Throws if it cannot be ended. */
export async function endHaproxy(running: Running, workerSocket: string, graceMs: number): Promise<void> {
  const quiet = whenQuiet(workerSocket, graceMs, () => running.signal("SIGUSR1"));
  await Promise.race([quiet, running.ended]);
  await terminate(running);
  await quiet;
}

/** At once, whatever is under way in it. Throws if it cannot be ended. */
export async function terminate(running: Running): Promise<void> {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    await running.signal(signal);
    if (await endsWithin(running, TERMINATE_MS)) return;
  }
  throw new Error(`Cannot stop HAProxy: process ${running.pid} goes on`);
}

/** Has the worker stop, and waits until no request is under way in it. */
async function whenQuiet(socketPath: string, withinMs: number, stop: () => Promise<void>): Promise<void> {
  const deadline = AbortSignal.timeout(withinMs);
  using socket = await CommandSocket.open(socketPath).catch(() => undefined);
  // Before: a worker that stops takes no new connection, not for commands either.
  await socket?.greeted().catch(() => {});
  await stop();
  try {
    while (socket && !deadline.aborted && await requestsUnderWay(socket) > 0) await sleep(20, deadline);
  } catch (error) {
    // It has ended, or does not answer; where nobody can tell what is under way, it has all its time.
    if (error instanceof NoColumn) await sleep(withinMs, deadline);
  }
}

async function endsWithin({ ended }: Running, ms: number): Promise<boolean> {
  const late = new AbortController();
  const end = await Promise.race([ended.then(() => true), sleep(ms, late.signal).then(() => false)]);
  late.abort();
  return end;
}

/** Waiting for HAProxy to run what is in its files. */
import { sleep } from "../../proto/sleep.ts";
import { failPoint } from "./fail_point.ts";
import { type Processes, processes, tellReload } from "./master.ts";
import { workerPid } from "./worker.ts";

export interface Loading {
  readonly masterSocket: string;
  /** Of the worker that is waited for. */
  readonly workerSocket: () => string;
  /** Ends the wait. */
  readonly signal: AbortSignal;
}

const READY_WITHIN_MS = 10_000;
const BETWEEN_LOOKS_MS = 5;

/** Waits until the worker answers and the master counts it as current; answers with its process id. */
export function ready(loading: Loading): Promise<number> {
  return untilCurrent(loading, () => Promise.resolve());
}

/**
 * Has the master start workers from its files, and waits as `ready` does. A master that dies meanwhile is no failure, as
 * whoever starts it again starts it from these files. Throws when the master goes on with the workers that it had, with
 * what `heard` says of the reason.
 */
export function reloaded(loading: Loading, heard: () => string): Promise<number> {
  let told: Processes | undefined;
  return untilCurrent(loading, async (now) => {
    if (told && now.master !== told.master) return;
    if (told && now.reloads > told.reloads) {
      if (now.failed) throw new NotLoaded(heard);
      return;
    }
    // Not heard yet, or lost with a connection that a master closes when it begins anew.
    told = now;
    await tellReload(loading.masterSocket);
    failPoint("telling to reload");
  });
}

/** What ends the wait: the master will not try again by itself. */
class NotLoaded extends Error {
  constructor(heard: () => string) {
    super(`Cannot reload HAProxy, which goes on as before: ${heard() || "it does not say why"}`);
  }
}

async function untilCurrent(
  { masterSocket, workerSocket, signal }: Loading,
  otherwise: (now: Processes) => Promise<void>,
): Promise<number> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(READY_WITHIN_MS)]);
  let reason: unknown = "stopped";
  for (; !deadline.aborted; await sleep(BETWEEN_LOOKS_MS, deadline)) {
    try {
      const now = await processes(masterSocket);
      const pid = await workerPid(workerSocket()).catch((error) => {
        reason = error;
        return 0;
      });
      if (now.workers.includes(pid)) return pid;
      if (pid > 0) reason = `process ${pid} is no current worker`;
      await otherwise(now);
    } catch (error) {
      if (error instanceof NotLoaded) throw error;
      reason = error;
    }
  }
  throw new Error(`Cannot reach the new worker: ${reason}`);
}

/** Whether a HAProxy runs in a data folder, whoever has started it. */
import { sleep } from "../../proto/sleep.ts";
import type { DataFolder } from "./data_folder.ts";
import { type Processes, processes } from "./master.ts";

const BETWEEN_LOOKS_MS = 20;
/** Nobody who listens is between two sockets for so many looks. */
const LOOKS = 3;
/** The sidecar before this one was killed while HAProxy was starting: so many looks until it listens, or never will. */
const LOOKS_AT_START = 250;
/** How long a reload may take, in which the master does not listen. */
const RELOADED_WITHIN_MS = 30_000;

/**
 * Asks the master; `undefined` if none runs. That has to be sure: a second HAProxy in the folder would take the sockets
 * of the first and then end for want of its port, and the first could not be told anything any more. `known` is the
 * process id of a master that ran a moment ago, if any did.
 *
 * A process id is believed because a master tells it, of itself and of its workers, at a socket in the folder, and never
 * because a file says so: it cannot be that of a stranger who was given an old number. While the master begins anew, and
 * does not listen, a worker does, unless that has just died; and a master that was killed takes its workers along within
 * ms. Throws if somebody is there and no master comes.
 */
export async function whoRuns(data: DataFolder, signal: AbortSignal, known = 0): Promise<Processes | undefined> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(RELOADED_WITHIN_MS)]);
  const looks = data.isStarting ? LOOKS_AT_START : LOOKS;
  for (let silent = 0; silent < looks; await sleep(BETWEEN_LOOKS_MS, deadline)) {
    try {
      return await processes(data.masterSocket);
    } catch (error) {
      if (deadline.aborted) throw new Error(`Cannot reach HAProxy's master, and its workers run: ${error}`);
    }
    const generations = await data.workerSockets();
    // Nothing has run here since the folder was tidied up.
    if (generations.length === 0 && !data.isStarting) return undefined;
    const paths = [data.masterSocket, ...generations.map((generation) => data.workerSocket(generation))];
    silent = (await Promise.all(paths.map(listens))).includes(true) ? 0 : silent + 1;
    if (silent === looks && await isAlive(known)) silent = 0;
  }
  return undefined;
}

/** Whether somebody is there: one who is too busy to answer is. */
async function listens(path: string): Promise<boolean> {
  try {
    (await Deno.connect({ transport: "unix", path })).close();
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.ConnectionRefused || error instanceof Deno.errors.NotFound);
  }
}

/**
 * Whether there is a process of this number, which is not merely waiting for its parent. Nobody here may look into /proc
 * or send it a signal; but a program can be started in the folder that a process is in, as long as there is one.
 */
async function isAlive(pid: number): Promise<boolean> {
  if (pid === 0) return false;
  try {
    await new Deno.Command("haproxy", { args: ["-v"], cwd: `/proc/${pid}/cwd`, stdin: "null" }).output();
    return true;
  } catch {
    return false;
  }
}

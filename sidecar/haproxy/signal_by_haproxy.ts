/**
 * Signals to a HAProxy that this sidecar has not started: it has no right to send them, but HAProxy itself does so, to
 * whom it is told to replace.
 */
import { join } from "node:path";
import { sleep } from "../../proto/sleep.ts";
import type { DataFolder } from "./data_folder.ts";
import { workerPid } from "./worker.ts";

const SOCKET = "stopper.sock";
const CONFIG = "stopper.cfg";
const SENT_WITHIN_MS = 5_000;

/** Has a master sent `SIGUSR1` (let requests end), or `SIGTERM` (end now). Resolves when that is done. */
export async function signalByHaproxy(data: DataFolder, pid: number, signal: "SIGUSR1" | "SIGTERM"): Promise<void> {
  const path = (name: string) => join(data.path, name);
  await Deno.writeTextFile(path(CONFIG), `global\n  stats socket unix@${SOCKET} mode 600\n`);
  const args = ["-db", "-q", "-f", CONFIG, signal === "SIGUSR1" ? "-sf" : "-st", String(pid)];
  const options = { args, cwd: data.path, stdin: "null", stdout: "null", stderr: "null", detached: true } as const;
  const sender = new Deno.Command("haproxy", options).spawn();
  const ended = new AbortController();
  const status = sender.status.finally(() => ended.abort());
  try {
    const deadline = AbortSignal.any([ended.signal, AbortSignal.timeout(SENT_WITHIN_MS)]);
    // Signals are sent before the first command is answered.
    while (!await answers(path(SOCKET))) {
      if (deadline.aborted) throw new Error(`Cannot send ${signal} to process ${pid}: no HAProxy starts for that`);
      await sleep(5, deadline);
    }
  } finally {
    if (!ended.signal.aborted) sender.kill("SIGKILL");
    await status;
    for (const name of [CONFIG, SOCKET]) await Deno.remove(path(name)).catch(() => {});
  }
}

async function answers(path: string): Promise<boolean> {
  try {
    return await workerPid(path) > 0;
  } catch {
    return false;
  }
}

/**
 * A HAProxy whose sidecar was killed goes on with a map that nobody keeps. It is ended before a new one is started.
 * HAProxy itself signals it (`-st`), as it does to predecessors: the sidecar has no right to signal what it has not started.
 */
import { join } from "node:path";
import type { Log } from "../../proto/log.ts";
import type { DataFolder } from "./data_folder.ts";
import { processes } from "./master.ts";

/** Ends a HAProxy that still answers in the data folder. Throws if it does not end. */
export async function endStray(data: DataFolder, log: Log): Promise<void> {
  const pid = await masterPid(data);
  if (pid !== undefined) {
    log.warn("A HAProxy was left behind by a sidecar that was killed: stopping it", { pid });
    await signalByHaproxy(data, pid);
  }
  await data.removeSockets();
}

async function masterPid(data: DataFolder): Promise<number | undefined> {
  try {
    return (await processes(data.masterSocket)).master;
  } catch {
    return undefined;
  }
}

const MAX_WAIT_MS = 5_000;

async function signalByHaproxy(data: DataFolder, pid: number): Promise<void> {
  const config = "stopper.cfg";
  await Deno.writeTextFile(
    join(data.path, config),
    "frontend none\n  mode http\n  timeout client 1s\n  bind unix@stopper.sock mode 600\n",
  );
  const args = ["-db", "-q", "-f", config, "-st", String(pid)];
  const options = { args, cwd: data.path, stdin: "null", stdout: "null", stderr: "null", detached: true } as const;
  const stopper = new Deno.Command("haproxy", options).spawn();
  try {
    for (let waited = 0; await masterPid(data) === pid; waited += 20) {
      if (waited > MAX_WAIT_MS) throw new Error(`Cannot stop the HAProxy left behind as process ${pid}: it goes on`);
      await new Promise((done) => setTimeout(done, 20));
    }
  } finally {
    stopper.kill("SIGKILL");
    await stopper.status;
    await Deno.remove(join(data.path, config));
  }
}

/** A HAProxy as a sidecar that was killed leaves it, for one that adopts it. */
import { turn } from "../../../proto/testing/turn.ts";
import { CONFIG_FILE, MASTER_SOCKET } from "../../config/names.ts";
import type { DataFolder } from "../data_folder.ts";
import { processes } from "../master.ts";
import { workerPid } from "../worker.ts";
import { parsed } from "./keeper.ts";

/** Starts HAProxy from the files that are in place, as a sidecar that is killed then; answers when it runs. */
export async function leaveHaproxy(data: DataFolder): Promise<Deno.ChildProcess> {
  const args = ["-W", "-db", "-S", `unix@${MASTER_SOCKET},mode,600`, "-f", CONFIG_FILE];
  const left = new Deno.Command("haproxy", { args, cwd: data.path, stdin: "null", stdout: "null", stderr: "piped" })
    .spawn();
  const socket = data.workerSocket(parsed(data).generation);
  for (;;) {
    const [found, pid] = await Promise.all([processes(data.masterSocket), workerPid(socket)]).catch(() => []);
    if (found && found.workers.includes(pid ?? 0)) break;
    await turn();
  }
  // Nobody reads what it says any more.
  await left.stderr.cancel();
  return left;
}

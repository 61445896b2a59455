/** HAProxy's master process, asked who runs. */
import { CommandSocket } from "./command_socket.ts";

export interface Processes {
  readonly master: number;
  /** The workers of the newest configuration, without those that were replaced and still have connections. */
  readonly workers: readonly number[];
}

/** Process ids by `show proc`. Throws while no master listens, as for some ms during a reload. */
export async function processes(masterSocket: string): Promise<Processes> {
  const text = await CommandSocket.once(masterSocket, "show proc");
  const found: Record<string, number[]> = {};
  let section = "";
  for (const line of text.split("\n")) {
    const pid = Number(/^([0-9]+)\s/.exec(line)?.[1]);
    if (line.startsWith("# ")) section = line;
    else if (pid > 0) (found[section] ??= []).push(pid);
  }
  const master = found[""]?.[0];
  if (master === undefined) throw new Error("Cannot read the process id of HAProxy's master");
  return { master, workers: found["# workers"] ?? [] };
}

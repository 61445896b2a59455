/** HAProxy's master process: asked who runs, told to reload, and the way to workers that listen nowhere any more. */
import { CommandSocket } from "./command_socket.ts";

export interface OldWorker {
  readonly pid: number;
  /** At least so long ago, in ms, it was replaced. */
  readonly replacedMs: number;
}

export interface Processes {
  readonly master: number;
  /** How often the master has been told to reload. */
  readonly reloads: number;
  /** Whether the last time it could not, and went on with the workers that it had. */
  readonly failed: boolean;
  /** The workers of the newest configuration. */
  readonly workers: readonly number[];
  /** Those that were replaced and still have connections, the newest first. */
  readonly oldWorkers: readonly OldWorker[];
}

/** By `show proc`. Throws while no master listens, as for some ms during a reload, or for seconds if that fails. */
export async function processes(masterSocket: string): Promise<Processes> {
  const text = await CommandSocket.once(masterSocket, "show proc");
  const found: Record<string, Row[]> = {};
  let section = "";
  for (const line of text.split("\n")) {
    const row = parseRow(line);
    if (line.startsWith("# ")) section = line;
    else if (row) (found[section] ??= []).push(row);
  }
  const master = found[""]?.[0];
  if (!master) throw new Error("Cannot read the process id of HAProxy's master");
  const workers = found["# workers"] ?? [];
  return {
    master: master.pid,
    reloads: master.reloads,
    failed: master.failed,
    workers: workers.map(({ pid }) => pid),
    oldWorkers: replaced(workers, found["# old workers"] ?? []),
  };
}

/** Tells the master to read its files and to start workers from them. It may have ended before it was heard. */
export async function tellReload(masterSocket: string): Promise<void> {
  // The master answers nothing: it begins anew, without this connection.
  await CommandSocket.once(masterSocket, "reload").catch(() => {});
}

/** A worker that does not answer for so long hangs; there may be many. */
const INFO_WITHIN_MS = 1_000;

/** Fields of `show info` of a worker, old ones too; none if it has ended. */
export async function workerInfo(masterSocket: string, pid: number): Promise<ReadonlyMap<string, string>> {
  const text = await CommandSocket.once(masterSocket, `@!${pid} show info`, INFO_WITHIN_MS);
  return new Map(
    text.split("\n").flatMap((line) => {
      const [, name, value] = /^([^:]+): (.*)$/.exec(line) ?? [];
      return name === undefined || value === undefined ? [] : [[name, value] as const];
    }),
  );
}

/** A request or connection that a worker has. */
export interface Stream {
  readonly frontend: string;
  readonly backend: string;
  readonly server: string;
  /** As HAProxy writes it: `9m58s`. */
  readonly age: string;
}

/** What a worker, old ones too, is at. Connections without a request are not among it. */
export async function workerStreams(masterSocket: string, pid: number): Promise<readonly Stream[]> {
  const text = await CommandSocket.once(masterSocket, `@!${pid} show sess`);
  return text.split("\n").flatMap((line) => {
    const [, frontend = "", backend = "", server = "", age = ""] =
      / fe=(\S+) be=(\S+) srv=(\S+) .*? age=(\S+) /.exec(line) ?? [];
    // The connection that asks this is one of them.
    return frontend === "" || frontend === "GLOBAL" ? [] : [{ frontend, backend, server, age }];
  });
}

interface Row {
  readonly pid: number;
  readonly reloads: number;
  readonly failed: boolean;
  readonly upMs: number;
}

/** `8955  worker  1 [failed: 0]  0d00h02m07s  2.6.12`: only the master's row counts failures. */
function parseRow(line: string): Row | undefined {
  const [, pid, reloads, failed, days, hours, minutes, seconds] =
    /^([0-9]+)\s+\S+\s+([0-9]+)\s+(?:\[failed: ([0-9]+)\]\s+)?([0-9]+)d([0-9]+)h([0-9]+)m([0-9]+)s/.exec(line) ?? [];
  if (pid === undefined) return undefined;
  const up = ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds);
  return { pid: Number(pid), reloads: Number(reloads), failed: Number(failed ?? 0) > 0, upMs: up * 1_000 };
}

/** A worker was replaced when the next younger one was started, as far as that is still there. */
function replaced(workers: readonly Row[], old: readonly Row[]): readonly OldWorker[] {
  const youngestFirst = [...old].sort((a, b) => a.reloads - b.reloads);
  return youngestFirst.map(({ pid }, at) => ({ pid, replacedMs: (youngestFirst[at - 1] ?? workers[0])?.upMs ?? 0 }));
}

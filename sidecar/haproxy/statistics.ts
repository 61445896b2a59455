/** What a worker has counted since it was started. */
import { phrase, Word } from "../config/text.ts";
import { instanceOf } from "../routing/plan.ts";
import { columnsOf } from "./columns.ts";
import { CommandSocket } from "./command_socket.ts";

/** Frontends, backends and servers, as HAProxy tells them: CSV, the first line names the columns. */
export function statistics(socketPath: string): Promise<string> {
  return CommandSocket.once(socketPath, "show stat -1 7 -1");
}

/** How often each instance of a backend could not be connected to, by id: for good, or before another try. */
export async function connectFailures(socketPath: string, slot: string): Promise<ReadonlyMap<string, number>> {
  using socket = await CommandSocket.open(socketPath);
  const [header = "", ...rows] = (await socket.ask(phrase`show stat ${Word.slot(slot)} 4 -1`)).split("\n");
  const column = columnsOf(header, ",");
  const name = column("svname");
  const counted = ["econ", "wretr", "wredis"].map(column);
  const failures = new Map<string, number>();
  for (const row of rows.filter(Boolean)) {
    const cells = row.split(",");
    const instance = instanceOf(cells[name] ?? "");
    const count = counted.reduce((sum, at) => sum + Number(cells[at] ?? 0), 0);
    failures.set(instance, (failures.get(instance) ?? 0) + count);
  }
  return failures;
}

/** Requests that have reached a backend and are not answered whole. */
export async function requestsUnderWay(socket: CommandSocket): Promise<number> {
  const [header = "", ...rows] = (await socket.ask(phrase`show stat -1 2 -1`)).split("\n");
  const current = columnsOf(header, ",")("scur");
  return rows.reduce((sum, row) => sum + Number(row.split(",")[current] ?? 0), 0);
}

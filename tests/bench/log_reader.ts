/** Reads a HAProxy's log, a datagram a line, and throws it away, in a process of its own. Argument: the socket's path. */
import { type Costs, Program, record } from "./program.ts";

/** Starts it; answers when it listens. */
export async function startLogReader(path: string): Promise<Costs & AsyncDisposable> {
  const program = Program.deno("tests/bench/log_reader.ts", path);
  await program.next((line) => record(line, "listening"));
  return program;
}

if (import.meta.main) {
  const socket = Deno.listenDatagram({ transport: "unixpacket", path: Deno.args[0] ?? "" });
  console.log(JSON.stringify({ listening: true }));
  const buffer = new Uint8Array(65_536);
  while (true) await socket.receive(buffer);
}

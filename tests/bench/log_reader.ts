/** Reads the log of a HAProxy and throws it away, in a process of its own. Argument: the path of the socket. */
import { type Costs, Program, record } from "./program.ts";

/** Starts it; answers when it listens. */
export async function startLogReader(path: string): Promise<Costs & AsyncDisposable> {
  const program = Program.deno("tests/bench/log_reader.ts", path);
  await program.next((line) => record(line, "listening"));
  return program;
}

async function read(connection: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(65_536);
  while (await connection.read(buffer) !== null);
  connection.close();
}

if (import.meta.main) {
  const listener = Deno.listen({ transport: "unix", path: Deno.args[0] ?? "" });
  console.log(JSON.stringify({ listening: true }));
  for await (const connection of listener) void read(connection);
}

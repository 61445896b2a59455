/** Two small instances in a process of their own; each answers with its port. */
import { Program, record } from "./program.ts";

export interface Backends extends AsyncDisposable {
  readonly ports: readonly [number, number];
}

export async function startBackends(): Promise<Backends> {
  const program = Program.deno("tests/bench/backends.ts");
  const { first, second } = await program.next((line) => record(line, "second"));
  return {
    ports: [Number(first), Number(second)],
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

function listen(): number {
  let answer = "";
  const { port } = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response(answer)).addr;
  answer = `${port}`;
  return port;
}

if (import.meta.main) console.log(JSON.stringify({ first: listen(), second: listen() }));

/** A control plane as users start it, for tests of the command line. */
import { lines, type Outcome, run, spawn } from "./run.ts";

export interface StartedControlPlane extends AsyncDisposable {
  /** For commands: where it listens. */
  readonly env: Readonly<Record<string, string>>;
  /** `http://host:port`. */
  readonly http: string;
  /** `host:port`. */
  readonly grpc: string;
  /** One command against it. */
  run(...args: string[]): Promise<Outcome>;
  /** One command against it that must not fail; answers with what it printed. */
  done(...args: string[]): Promise<string>;
  /** The command line as a program of its own. */
  spawn(...args: string[]): Deno.ChildProcess;
}

/** Starts one with its map in memory, unless `args` say otherwise. */
export async function startedControlPlane(...args: string[]): Promise<StartedControlPlane> {
  const main = new URL("../../control-plane/main.ts", import.meta.url).pathname;
  const store = args.includes("--store") || args.includes("--data") ? [] : ["--store", "memory:"];
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--cached-only", "--allow-all", main, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
      .concat(store, args),
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const log = lines(child.stderr);
  const said: string[] = [];
  let serving: { http: string; grpc: string } | undefined;
  for (let line = await log.next(); !line.done && !serving; line = serving ? line : await log.next()) {
    said.push(line.value);
    if (line.value.includes('"message":"Serving"')) serving = JSON.parse(line.value);
  }
  if (!serving) throw new Error(`The control plane ended early:\n${said.join("\n")}`);
  const rest = Array.fromAsync(log);
  const { http, grpc } = serving;
  const env = { PORTOLAN_CONTROL_PLANE: grpc, PORTOLAN_HTTP: http };
  return {
    env,
    http: `http://${http}`,
    grpc,
    run: (...args) => run(args, env),
    async done(...args) {
      const { exit, out, err } = await run(args, env);
      if (exit !== 0) throw new Error(`${args.join(" ")}: ${err}`);
      return out;
    },
    spawn: (...args) => spawn(args, env),
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.status;
      const errors = (await rest).filter((line) => !line.startsWith("{") || line.includes('"level":"error"'));
      if (errors.length === 0) return;
      // Of a test that failed already, the runner would show neither its error nor this one.
      Deno.stderr.writeSync(new TextEncoder().encode(errors.join("\n") + "\n"));
      throw new Error("The control plane has logged errors: see above");
    },
  };
}

/** HAProxies without Portolan: the floors of routing, and instances that cost next to nothing. */
import { join } from "node:path";
import { type Costs, Program } from "./program.ts";

export class BareHaproxy implements AsyncDisposable, Costs {
  private constructor(private readonly program: Program, private readonly socket: string, readonly port: number) {}

  /**
   * Starts it in `folder`, which is made if need be, from what `configText` says of the port that it is to bind; other
   * files that this names are in the folder already.
   */
  static async start(folder: string, configText: (port: number) => string): Promise<BareHaproxy> {
    const port = freePort();
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(join(folder, CONFIG), `${GLOBAL}${configText(port)}`);
    await using started = new AsyncDisposableStack();
    const program = started.use(Program.start("haproxy", ["-db", "-f", CONFIG], { cwd: folder, detached: true }));
    const haproxy = new BareHaproxy(program, join(folder, SOCKET), port);
    await haproxy.#ready();
    started.move();
    return haproxy;
  }

  /** Says commands, with `;` between them, on a connection of its own; answers with what HAProxy says. */
  async tell(commands: string): Promise<string> {
    using connection = await Deno.connect({ transport: "unix", path: this.socket });
    await connection.write(new TextEncoder().encode(`${commands}\n`));
    return await new Response(connection.readable).text();
  }

  cpuMs(): number {
    return this.program.cpuMs();
  }

  memoryMb(): number {
    return this.program.memoryMb();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.program[Symbol.asyncDispose]();
  }

  async #ready(): Promise<void> {
    for (let tries = 0;; tries++) {
      try {
        return void await this.tell("show info");
      } catch (error) {
        if (tries === 500) throw error;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  }
}

const CONFIG = "bare.cfg";
const SOCKET = "bare.sock";
const GLOBAL = `
global
  stats socket unix@${SOCKET} mode 600 level admin
`;

/** What every one of these needs: it makes no difference to what is measured. */
export const USUAL_TIMEOUTS = `
  timeout connect 1s
  timeout client 60s
  timeout server 60s
`;

/** An instance of anything that answers at once, at next to no cost. */
export function startInstance(folder: string): Promise<BareHaproxy> {
  return BareHaproxy.start(
    folder,
    (port) => `
defaults
  mode http
${USUAL_TIMEOUTS}
frontend instance
  bind 127.0.0.1:${port}
  http-request return status 200 content-type text/plain string hello
`,
  );
}

/** A port of this machine that nobody listens on. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

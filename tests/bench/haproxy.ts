/** A HAProxy without Portolan: the floor of routing. It is told over its runtime socket by whoever measures. */
import { join } from "node:path";
import { Program } from "./program.ts";

export class BareHaproxy implements AsyncDisposable {
  private constructor(private readonly program: Program, private readonly socket: string, readonly port: number) {}

  /** Routes the name `moved` to a server that can be moved, `aliased` by a map; both to `first` at the beginning. */
  static async start(folder: string, first: number, second: number): Promise<BareHaproxy> {
    const port = freePort();
    const [config, socket] = [join(folder, "haproxy.cfg"), join(folder, "bare.sock")];
    const map = join(folder, "routes.map");
    await Deno.writeTextFile(map, "moved moved\naliased v1\n");
    await Deno.writeTextFile(config, configText(port, socket, map, first, second));
    const haproxy = new BareHaproxy(Program.start("haproxy", ["-db", "-f", config]), socket, port);
    await haproxy.#ready();
    return haproxy;
  }

  /** Says one command, on a connection of its own; answers with what HAProxy says. */
  async tell(command: string): Promise<string> {
    using connection = await Deno.connect({ transport: "unix", path: this.socket });
    await connection.write(new TextEncoder().encode(`${command}\n`));
    return await new Response(connection.readable).text();
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

/** A port of this machine that nobody listens on. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

// Connections to instances are as the sidecar's HAProxy has them: a new one for each request.
function configText(port: number, socket: string, map: string, first: number, second: number): string {
  return `
global
  stats socket ${socket} mode 600 level admin
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  option http-server-close
frontend egress
  bind 127.0.0.1:${port}
  use_backend %[req.fhdr(portolan-service),map(${map})]
backend moved
  server one 127.0.0.1:${first}
backend v1
  server one 127.0.0.1:${first}
backend v2
  server one 127.0.0.1:${second}
`;
}

/** A HAProxy whose few routes are written by hand: what traffic is tried out against, without any Portolan. */
import { join } from "node:path";
import { processes } from "../../sidecar/haproxy/master.ts";
import { freePort } from "../bench/haproxy.ts";

/** The ports of instances by what `Portolan-Service` says. */
export type Routes = Readonly<Record<string, readonly number[]>>;

export interface LittleOptions {
  readonly http?: Routes;
  /** Spoken to in HTTP/2. */
  readonly grpc?: Routes;
  /** A worker that was replaced answers one more request on each kept connection, as by default; else it cuts them. */
  readonly idleClose?: boolean;
  /** Connections to instances: a new one for each request, as by default, or kept. */
  readonly toServers?: "close" | "keep";
}

export class LittleHaproxy implements AsyncDisposable {
  readonly port = freePort();
  #master: Deno.ChildProcess | undefined;

  private constructor(private readonly folder: string, private options: LittleOptions) {}

  static async start(options: LittleOptions): Promise<LittleHaproxy> {
    const haproxy = new LittleHaproxy(await Deno.makeTempDir({ prefix: "portolan-traffic-" }), options);
    await haproxy.revive();
    return haproxy;
  }

  /** Starts it where it was, after it was killed; resolves when it takes connections. */
  async revive(): Promise<void> {
    await this.#write();
    const args = ["-W", "-db", "-S", `unix@${this.#socket},mode,600`, "-f", join(this.folder, "haproxy.cfg")];
    this.#master = new Deno.Command("haproxy", { args, stdin: "null", stdout: "null", stderr: "null" }).spawn();
    await this.#newWorker(0);
  }

  /** Has a new worker take over, with other options where they are told; resolves when it has. */
  async reload(options: LittleOptions = {}): Promise<void> {
    this.options = { ...this.options, ...options };
    await this.#write();
    const [before = 0] = (await processes(this.#socket)).workers;
    this.#master?.kill("SIGUSR2");
    await this.#newWorker(before);
  }

  /** Its worker is killed, which ends the master too. */
  async kill(): Promise<void> {
    for (const pid of (await processes(this.#socket)).workers) Deno.kill(pid, "SIGKILL");
    await this.#master?.status;
    this.#master = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#master?.kill("SIGTERM");
    await this.#master?.status;
    await Deno.remove(this.folder, { recursive: true });
  }

  get #socket(): string {
    return join(this.folder, "master.sock");
  }

  async #write(): Promise<void> {
    const { http = {}, grpc = {} } = this.options;
    const map = join(this.folder, "routes.map");
    const services = [...Object.keys(http), ...Object.keys(grpc)];
    await Deno.writeTextFile(map, services.map((service) => `${service} ${service}\n`).join(""));
    await Deno.writeTextFile(join(this.folder, "haproxy.cfg"), configText(this.port, map, this.options));
  }

  async #newWorker(before: number): Promise<void> {
    for (let tries = 0;; tries++) {
      try {
        const { workers: [worker = before] } = await processes(this.#socket);
        if (worker !== before) return;
      } catch (error) {
        // The master is not there yet, or is starting itself again.
        if (tries > 1_000) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

function configText(port: number, map: string, options: LittleOptions): string {
  const { http = {}, grpc = {}, idleClose = true, toServers = "close" } = options;
  return `
global
  hard-stop-after 60s
  mworker-max-reloads 100
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
  retry-on conn-failure
  option redispatch 1
  ${idleClose ? "option idle-close-on-response" : ""}
  option ${toServers === "close" ? "http-server-close" : "http-keep-alive"}
frontend egress
  bind 127.0.0.1:${port}
  use_backend %[req.fhdr(portolan-service),map(${map})]
${backends(http, "")}${backends(grpc, " proto h2")}`;
}

function backends(routes: Routes, more: string): string {
  return Object.entries(routes).map(([service, ports]) =>
    [`backend ${service}`, ...ports.map((port) => `  server i${port} 127.0.0.1:${port}${more}`), ""].join("\n")
  ).join("");
}

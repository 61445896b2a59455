/**
 * What people run who have no sidecar: a program that watches the map, renders all of HAProxy's configuration anew at
 * each change, has it checked, and has HAProxy reload. Arguments: a folder, the port of the control plane, the path of
 * the realm, the port that HAProxy is to bind.
 */
import { join } from "node:path";
import { processes } from "../../sidecar/haproxy/master.ts";
import { freePort } from "./haproxy.ts";
import { Program, record } from "./program.ts";
import { fillTemplate, type TemplateService } from "./template.ts";

export interface TemplateLoop extends AsyncDisposable {
  /** Of its HAProxy. */
  readonly port: number;
  /** How often that has been reloaded. */
  reloads(): Promise<number>;
}

/** Starts it; answers when its HAProxy routes. */
export async function startTemplateLoop(folder: string, controlPlane: number, realm: string): Promise<TemplateLoop> {
  const port = freePort();
  await Deno.mkdir(folder);
  await using started = new AsyncDisposableStack();
  const program = started.use(
    Program.deno("tests/bench/template_loop.ts", folder, `${controlPlane}`, realm, `${port}`),
  );
  await program.next((line) => record(line, "routing"));
  const running = started.move();
  return {
    port,
    reloads: () => reloadsOf(join(folder, MASTER)),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** A master does not listen for some ms while it begins anew. */
async function reloadsOf(masterSocket: string): Promise<number> {
  for (let tries = 0;; tries++) {
    try {
      return (await processes(masterSocket)).reloads;
    } catch (error) {
      if (tries === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

const CONFIG = "haproxy.cfg";
const MASTER = "master.sock";

/** The services of a realm, as they change; answers after each change that is whole. */
async function* watch(controlPlane: string, realm: string): AsyncGenerator<ReadonlyMap<string, TemplateService>> {
  const response = await fetch(`http://127.0.0.1:${controlPlane}${realm}/watch`);
  if (!response.ok || !response.body) throw new Error(`Cannot watch ${realm}: status ${response.status}`);
  const services = new Map<string, TemplateService>();
  let text = "";
  for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1];
      text = text.slice(end + 2);
      if (data === undefined) continue;
      const { set, deleted, last } = JSON.parse(data);
      for (const service of set) services.set(service.name, service);
      for (const name of deleted) services.delete(name);
      if (last) yield services;
    }
  }
}

class Reloader {
  readonly #folder: string;
  readonly #port: number;
  #master: Deno.ChildProcess | undefined;

  constructor(folder: string, port: number) {
    this.#folder = folder;
    this.#port = port;
  }

  /** Has HAProxy run what the services say; resolves when it does. */
  async load(services: Iterable<TemplateService>): Promise<void> {
    const { config, routes } = fillTemplate(services, this.#port);
    await Deno.writeTextFile(join(this.#folder, "routes.map"), routes);
    await Deno.writeTextFile(join(this.#folder, CONFIG), config);
    const options = { cwd: this.#folder, stdout: "null", stderr: "null" } as const;
    const check = await new Deno.Command("haproxy", { ...options, args: ["-c", "-f", CONFIG] }).output();
    if (!check.success) throw new Error(`Cannot reload HAProxy: it refuses ${config}`);
    if (!this.#master) {
      const args = ["-W", "-db", "-S", `unix@${MASTER},mode,600`, "-f", CONFIG];
      this.#master = new Deno.Command("haproxy", { ...options, args, detached: true }).spawn();
      return await this.#loaded(0);
    }
    const { workers: [worker = 0] } = await processes(join(this.#folder, MASTER));
    this.#master.kill("SIGUSR2");
    await this.#loaded(worker);
  }

  async end(): Promise<void> {
    this.#master?.kill("SIGTERM");
    await this.#master?.status;
  }

  /** A reload that is begun before the last one is done could be lost. */
  async #loaded(before: number): Promise<void> {
    for (let tries = 0;; tries++) {
      try {
        const { workers: [worker = before] } = await processes(join(this.#folder, MASTER));
        if (worker !== before) return;
      } catch (error) {
        // The master is not there yet, or is starting itself again.
        if (tries > 1_000) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }
}

async function main([folder = "", controlPlane = "", realm = "", port]: readonly string[]): Promise<void> {
  const reloader = new Reloader(folder, Number(port));
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => reloader.end().then(() => Deno.exit()));
  }
  for await (const services of watch(controlPlane, realm)) {
    await reloader.load(services.values());
    console.log(JSON.stringify({ routing: services.size }));
  }
}

if (import.meta.main) await main(Deno.args);

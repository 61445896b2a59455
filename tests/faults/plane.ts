/** A control plane as users run it, whose process can be killed, stopped and started again where it was. */
import assert from "node:assert/strict";
import { type Program, start } from "../scenario/testing/program.ts";
import { stablePort } from "../scenario/testing/stable_port.ts";

export interface PlaneOptions {
  /** Holds the store. */
  readonly folder: string;
  /** More of the control plane's flags. */
  readonly args?: readonly string[];
}

/** Starts one. Disposing ends it gently and fails if it took anything for a fault of its own. */
export async function startPlane({ folder, args = [] }: PlaneOptions): Promise<Plane> {
  const plane = new Plane(["--data", folder, ...args]);
  await plane.revive();
  return plane;
}

export class Plane implements AsyncDisposable {
  /** Port of HTTP, the same whenever it is started. */
  readonly http = stablePort();
  /** `host:port` of gRPC, the same whenever it is started. */
  readonly grpc = `127.0.0.1:${stablePort()}`;
  readonly #args: readonly string[];
  #program: Program | undefined;
  #serving = Promise.withResolvers<void>();

  constructor(args: readonly string[]) {
    this.#args = ["--http", `127.0.0.1:${this.http}`, "--grpc", this.grpc, ...args];
  }

  /** Resolves while it serves: at once, or when it was started again. */
  serving(): Promise<void> {
    return this.#serving.promise;
  }

  /** Starts it; resolves when it serves. */
  async revive(): Promise<void> {
    this.#program = start("control-plane/main.ts", "control-plane", this.#args);
    await this.#program.logged("Serving");
    this.#serving.resolve();
  }

  /** Ends its process and resolves when that is gone. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    this.#serving = Promise.withResolvers();
    const program = this.#running();
    this.#program = undefined;
    try {
      // One that stands still would not hear of it.
      Deno.kill(program.pid, "SIGCONT");
    } catch {
      // It has ended by itself, as its status tells.
    }
    const status = await program.end(signal);
    const lastWords = program.output().split("\n").slice(-20).join("\n");
    if (signal === "SIGTERM") assert.equal(status.code, 0, lastWords);
    else assert.equal(status.signal, signal, lastWords);
    assertNoFaults(program.output());
  }

  /** Its process stands still, or goes on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    Deno.kill(this.#running().pid, signal);
  }

  /** Memory that its process has, in bytes. */
  memory(): number {
    const status = Deno.readTextFileSync(`/proc/${this.#running().pid}/status`);
    return Number(/VmRSS:\s*([0-9]+) kB/.exec(status)?.[1]) * 1024;
  }

  /** The JSON that a request is answered with; throws unless it succeeds. */
  async call<T>(path: string, method = "GET", body?: unknown): Promise<T> {
    const url = `http://127.0.0.1:${this.http}/api/v1${path}`;
    const response = await fetch(url, { method, ...(body !== undefined && { body: JSON.stringify(body) }) });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#program) await this.end("SIGTERM");
  }

  #running(): Program {
    assert.ok(this.#program, "the control plane does not run");
    return this.#program;
  }
}

function assertNoFaults(output: string): void {
  const faults = output.split("\n").filter((line) => line !== "" && !/"level":"(?:info|warn)"/.test(line));
  assert.deepEqual(faults, [], "the control plane logged errors");
}

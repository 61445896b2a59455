/** A host of the rig: its sidecar with HAProxy, its instances, its callers. */
import { type Child, startDeno } from "./child.ts";
import { Door } from "./door.ts";
import { CALLER, type CallerOptions } from "./inside/caller.ts";
import { INSTANCES, type InstancesOptions } from "./inside/instances.ts";
import type { Network, NetworkHost } from "./network.ts";
import type { Arrival, Outcome } from "./requests.ts";
import { readRoutes, type Routes } from "./routes.ts";

export interface RigHostOptions {
  readonly network: Network;
  readonly zone: string;
  readonly name: string;
  /** `host:port` of gRPC. */
  readonly controlPlane: string;
  readonly services: InstancesOptions["services"];
  readonly onArrival: (arrival: Arrival) => void;
}

/** A sidecar's account of itself. */
export interface SidecarState {
  readonly map: { readonly connected: boolean };
  /** Instances that it leaves out for a while, because they did not answer here. */
  readonly ejected?: readonly { readonly service: string; readonly instance: string }[];
}

const ADMIN = "127.0.0.1:7412";

export class RigHost implements Disposable {
  readonly name: string;
  readonly zone: string;
  readonly wire: NetworkHost;
  readonly #options: RigHostOptions;
  readonly #door: Door;
  readonly #instances: Child;
  #sidecar: Child;
  #caller: Child | undefined;

  private constructor(options: RigHostOptions) {
    this.#options = options;
    this.name = options.name;
    this.zone = options.zone;
    this.wire = options.network.host(options.name);
    this.#door = new Door(this.#socket);
    this.#sidecar = this.#spawnSidecar();
    this.#instances = this.#spawnInstances();
  }

  /** Resolves when its sidecar serves and its instances are on the map. */
  static async start(options: RigHostOptions): Promise<RigHost> {
    const host = new RigHost(options);
    await Promise.all([host.#sidecar.logged("Serving"), host.#instances.logged("Serving")]);
    return host;
  }

  /** Starts a program that calls from here; it hands over each outcome as it comes. */
  async startCaller(options: Omit<CallerOptions, "host">, onOutcome: (outcome: Outcome) => void): Promise<void> {
    const args = [JSON.stringify({ ...options, host: this.name } satisfies CallerOptions)];
    this.#caller = startDeno(this.wire, [CALLER, "test"], args, { onLine: (line) => onOutcome(JSON.parse(line)) });
    await this.#caller.logged("Calling");
  }

  /** It sends nothing new; resolves when all that it sent has its outcome. */
  async endCaller(): Promise<void> {
    await this.#caller?.end("SIGTERM");
  }

  /** They stay on the map; resolves when all arrivals are told. */
  async endInstances(): Promise<void> {
    await this.#instances.end("SIGKILL");
  }

  async endSidecar(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    await this.#sidecar.end(signal);
  }

  /** Starts another one in its place; resolves when it serves. */
  async startSidecar(): Promise<void> {
    this.#sidecar = this.#spawnSidecar();
    await this.#sidecar.logged("Serving");
  }

  /** The sidecar's account of itself. */
  state(): Promise<SidecarState> {
    return this.#door.call("GET", `http://${ADMIN}/state`);
  }

  /** What its sidecar said last. */
  get lastWords(): string {
    return this.#sidecar.output.split("\n").slice(-6).join("\n");
  }

  /** Where HAProxy sends requests. */
  routes(): Promise<Routes> {
    return readRoutes(this.#data);
  }

  [Symbol.dispose](): void {
    this.#door[Symbol.dispose]();
  }

  get #data(): string {
    return `${this.#options.network.folder}/${this.name}`;
  }

  get #socket(): string {
    return `${this.#data}.sock`;
  }

  #spawnSidecar(): Child {
    const { controlPlane } = this.#options;
    const who = ["--realm", "local", "--host-id", this.name, "--zone", this.zone];
    const listeners = ["--egress", "127.0.0.1:7410", "--admin", ADMIN];
    const rest = ["--control-plane", controlPlane, "--data", this.#data, ...listeners];
    return startDeno(this.wire, ["sidecar/main.ts", "sidecar"], [...who, ...rest, "--access-log", "off"]);
  }

  #spawnInstances(): Child {
    const { zone, name, controlPlane, services, onArrival } = this.#options;
    const { address } = this.wire;
    const options: InstancesOptions = { host: name, zone, address, controlPlane, services, socket: this.#socket };
    return startDeno(this.wire, [INSTANCES, "test"], [JSON.stringify(options)], {
      onLine: (line) => onArrival(JSON.parse(line)),
    });
  }
}

/** The control plane of the hosts, on a host of its own. */
import assert from "node:assert/strict";
import { type Child, startDeno } from "./child.ts";
import { Door } from "./door.ts";
import { DOOR } from "./inside/door.ts";
import type { Network, NetworkHost } from "./network.ts";

const HTTP_PORT = 7400;
const GRPC_PORT = 7401;
const ARRIVES_WITHIN_MS = 60_000;

interface Follower {
  readonly follower: { readonly id: string };
  readonly connected: boolean;
}

interface Arrival {
  readonly verdict: string;
  readonly revision: string;
  readonly laggards: readonly Follower[];
}

interface Service {
  readonly name: string;
  readonly instances: readonly {
    readonly id: string;
    readonly host: string;
    readonly port: number;
    readonly enabled: boolean;
  }[];
}

export class ControlPlane implements Disposable {
  readonly host: NetworkHost;
  /** `host:port` for sidecars and programs. */
  readonly grpc: string;
  readonly #program: Child;
  readonly #door: Door;

  private constructor(host: NetworkHost, program: Child, door: Door) {
    this.host = host;
    this.grpc = `${host.address}:${GRPC_PORT}`;
    this.#program = program;
    this.#door = door;
  }

  /** Starts it on a host; resolves when it serves. */
  static async start(network: Network, host: NetworkHost): Promise<ControlPlane> {
    const listeners = ["--http", `${host.address}:${HTTP_PORT}`, "--grpc", `${host.address}:${GRPC_PORT}`];
    const args = ["--data", `${network.folder}/plane`, ...listeners, "--insecure"];
    const program = startDeno(host, ["control-plane/main.ts", "control-plane"], args);
    const socket = `${network.folder}/plane.sock`;
    const door = startDeno(host, [DOOR, "test"], [socket]);
    await Promise.all([program.logged("Serving"), door.logged("Serving")]);
    return new ControlPlane(host, program, new Door(socket));
  }

  /** A request under the realm's path; throws unless it succeeds. */
  call<T>(method: string, path: string, body?: unknown): Promise<T> {
    return this.#door.call(method, `http://${this.host.address}:${HTTP_PORT}/api/v1/realms/local${path}`, body);
  }

  /**
   * Resolves when the sidecars of these hosts are there, and have all applied the newest revision. Answers with it; throws
   * after a minute.
   */
  async arrived(hosts: readonly string[]): Promise<string> {
    const patience = AbortSignal.timeout(ARRIVES_WITHIN_MS);
    for (;;) {
      const { verdict, revision, laggards } = await this.call<Arrival>("GET", "/wait?timeout=1s");
      const connected = await this.connected();
      if (verdict === "DONE" && hosts.every((host) => connected.includes(host))) return revision;
      if (patience.aborted) {
        throw new Error(`Revision ${revision} has not arrived: ${JSON.stringify({ hosts, connected, laggards })}`);
      }
    }
  }

  /** The hosts whose sidecars have not applied the newest revision within a second. */
  async laggards(): Promise<readonly string[]> {
    const { laggards } = await this.call<Arrival>("GET", "/wait?timeout=1s");
    return laggards.map(({ follower: { id } }) => id);
  }

  /** The hosts whose sidecars it holds to be connected. */
  async connected(): Promise<readonly string[]> {
    const { followers } = await this.call<{ followers: readonly Follower[] }>("GET", "/followers");
    return followers.filter(({ connected }) => connected).map(({ follower: { id } }) => id);
  }

  /** The instances that the map has requests go to: their ids by `host:port`, by service. */
  async enabled(): Promise<ReadonlyMap<string, ReadonlyMap<string, string>>> {
    const { services } = await this.call<{ services: readonly Service[] }>("GET", "/services");
    return new Map(services.map(({ name, instances }) => {
      const enabled = instances.filter(({ enabled }) => enabled);
      return [name, new Map(enabled.map(({ id, host, port }) => [`${host}:${port}`, id]))];
    }));
  }

  /** Fails if it took anything for a fault of its own. */
  assertNoFaults(): void {
    const faults = this.#program.output.split("\n").filter((line) => line.includes('"level":"error"'));
    assert.deepEqual(faults, [], "the control plane logged errors");
  }

  [Symbol.dispose](): void {
    this.#door[Symbol.dispose]();
  }
}

/** One host: a control plane, a sidecar with its HAProxy, and instances that answer who they are. */
import { type Program, start } from "./program.ts";
import { stablePort } from "./stable_port.ts";

export interface Host extends AsyncDisposable {
  /** The newest one. */
  readonly sidecar: Program;
  /** `http://…/api/v1/realms/local` */
  readonly api: string;
  /** Port of HAProxy for programs of the host. */
  readonly egressPort: number;
  readonly dataFolder: string;
  /** A request to the control plane; throws unless it succeeds. Answers with the JSON. */
  call<T = unknown>(method: string, path: string, body?: unknown): Promise<T>;
  /** Kills the control plane; `revive` starts it again, on the same store and ports. */
  killControlPlane(): Promise<void>;
  reviveControlPlane(): Promise<void>;
  /** Ends the sidecar, by SIGTERM or SIGKILL; `reviveSidecar` starts another on the same folder and ports. */
  endSidecar(signal: Deno.Signal): Promise<void>;
  /** Resolves once it serves; rejects when it ends before. `env` is on top of this program's. */
  reviveSidecar(env?: Readonly<Record<string, string>>): Promise<void>;
  /** Kills HAProxy, its masters and workers, which no sidecar may look after. */
  killHaproxy(): Promise<void>;
  /** Resolves once the sidecar has applied everything that was written before. */
  applied(): Promise<void>;
  /** What the sidecar's `/readyz` says. */
  ready(): Promise<{ readonly ready: boolean; readonly reasons: readonly string[] }>;
  /** The sidecar's account of itself. */
  state(): Promise<SidecarState>;
}

/** Some of what `/state` says. */
export interface SidecarState {
  readonly map: { readonly applied: { revision: string } | null; readonly from: string | null; readonly ageMs: number };
  readonly reloads: { readonly count: number; readonly newest: readonly { readonly reasons: readonly string[] }[] };
  readonly refused: readonly { readonly service: string; readonly reason: string }[];
  readonly haproxy: {
    readonly workerPid: number;
    readonly adopted: boolean;
    readonly oldWorkers: readonly unknown[];
    readonly longStreamsCut: number;
  };
}

export interface HostOptions {
  /** Default: HAProxy ends with its sidecar. */
  readonly haproxyOutlives?: boolean;
  /** More flags of the sidecar. */
  readonly sidecarFlags?: readonly string[];
}

/** Starts all of it on free ports; nothing is left of it after it is disposed. */
export async function startHost({ haproxyOutlives = false, sidecarFlags = [] }: HostOptions = {}): Promise<Host> {
  await using started = new AsyncDisposableStack();
  const dataFolder = await Deno.makeTempDir({ prefix: "portolan-" });
  started.defer(() => Deno.remove(dataFolder, { recursive: true }));
  const [http, grpc] = [`127.0.0.1:${stablePort()}`, `127.0.0.1:${stablePort()}`];
  const args = ["--data", dataFolder, "--http", http, "--grpc", grpc];
  // Grows while the host runs.
  const controlPlanes = started.use(new AsyncDisposableStack());
  const serve = async () => {
    const program = controlPlanes.use(start("control-plane/main.ts", "control-plane", args));
    await program.logged("Serving");
    return program;
  };
  let controlPlane = await serve();
  const egressPort = stablePort();
  const admin = `127.0.0.1:${stablePort()}`;
  started.defer(() => killHaproxy(dataFolder));
  const sidecars = started.use(new AsyncDisposableStack());
  const flags = [
    ...["--data", `${dataFolder}/sidecar`, "--host-id", "test-host", "--control-plane", grpc],
    ...["--egress", `127.0.0.1:${egressPort}`, "--admin", admin, "--access-log", "off"],
    ...(haproxyOutlives ? [] : ["--stop-haproxy"]),
    ...sidecarFlags,
  ];
  const startSidecar = (env: Readonly<Record<string, string>> = {}) =>
    sidecars.use(start("sidecar/main.ts", "sidecar", flags, env));
  let sidecar = startSidecar();
  await sidecar.logged("Serving");
  const api = `http://${http}/api/v1/realms/local`;
  const host: Host = {
    get sidecar() {
      return sidecar;
    },
    api,
    egressPort,
    dataFolder,
    call: (method, path, body) => call(`${api}${path}`, method, body),
    killControlPlane: async () => void await controlPlane.end("SIGKILL"),
    reviveControlPlane: async () => void (controlPlane = await serve()),
    endSidecar: async (signal) => void await sidecar.end(signal),
    async reviveSidecar(env) {
      sidecar = startSidecar(env);
      await sidecar.logged("Serving");
    },
    killHaproxy: () => killHaproxy(dataFolder),
    applied: () => applied(api),
    ready: async () => await (await fetch(`http://${admin}/readyz`)).json(),
    state: async () => await (await fetch(`http://${admin}/state`)).json(),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
  await host.applied();
  const running = started.move();
  return host;
}

async function killHaproxy(dataFolder: string): Promise<void> {
  // What is killed goes on for a moment.
  while (killIn(dataFolder) > 0) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** Processes are found by the folder that they run in, whoever has started them; answers how many there were. */
function killIn(folder: string): number {
  let found = 0;
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^[0-9]+$/.test(name)) continue;
    try {
      if (!Deno.readLinkSync(`/proc/${name}/cwd`).startsWith(folder)) continue;
      Deno.kill(Number(name), "SIGKILL");
      found++;
    } catch {
      // It has ended, or is somebody else's.
    }
  }
  return found;
}

async function call<T>(url: string, method: string, body?: unknown): Promise<T> {
  const response = await fetch(url, { method, ...(body !== undefined && { body: JSON.stringify(body) }) });
  const json = await response.json();
  if (!response.ok) throw new Error(`Cannot ${method} ${url}: ${JSON.stringify(json)}`);
  return json;
}

interface Arrival {
  readonly revision: string;
  readonly laggards: { connected: boolean; applied?: { revision: string } }[];
}

async function applied(api: string): Promise<void> {
  while ((await call<{ followers: unknown[] }>(`${api}/followers`, "GET")).followers.length === 0) {
    // Nobody is waited for who has never been here.
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  for (;;) {
    const { revision, laggards } = await call<Arrival>(`${api}/wait?timeout=1s`, "GET");
    // Who cannot use all of it lags, and has applied the rest.
    if (laggards.every(({ applied }) => BigInt(applied?.revision ?? 0) >= BigInt(revision))) return;
  }
}

/** An instance of a service that answers with its name, and counts what it was asked. */
export interface Instance extends AsyncDisposable {
  readonly name: string;
  readonly port: number;
  requests: number;
}

export function startInstance(name: string): Instance {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    instance.requests++;
    return Response.json({ instance: name, flow: request.headers.get("portolan-flow") });
  });
  const instance: Instance = {
    name,
    port: server.addr.port,
    requests: 0,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
  return instance;
}

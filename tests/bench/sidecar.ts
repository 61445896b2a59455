/** The sidecar as users run it: a process of its own, with a HAProxy that ends with it. */
import { freePort } from "./haproxy.ts";
import { type Costs, costsOf, Program, record } from "./program.ts";

export interface BenchedSidecar extends AsyncDisposable, Costs {
  /** Port of HAProxy for programs of this host. */
  readonly egress: number;
  /** From the start of the process until requests are routed by the map, in ms. */
  readonly readyMs: number;
  /** Of the worker that routes now. */
  haproxy(): Promise<Costs>;
  state(): Promise<SidecarState>;
}

/** Some of what `/state` says. */
export interface SidecarState {
  readonly reloads: { readonly count: number; readonly newest: readonly { readonly reasons: readonly string[] }[] };
  readonly haproxy: { readonly workerPid: number };
  readonly spares: number;
}

/** Its name among the followers. */
export const HOST_ID = "bench";

/** Starts it on `folder`; answers when it has applied the map. The access log is a file in the folder, or nowhere. */
export async function startSidecar(
  controlPlane: string,
  folder: string,
  accessLog: "file" | "off" = "off",
): Promise<BenchedSidecar> {
  const egress = freePort();
  const flags = {
    "control-plane": controlPlane,
    data: folder,
    "host-id": HOST_ID,
    egress: `127.0.0.1:${egress}`,
    admin: "127.0.0.1:0",
    "access-log": accessLog === "file" ? `${folder}.log` : "off",
  };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
  await using started = new AsyncDisposableStack();
  const begun = performance.now();
  const program = started.use(Program.deno("sidecar/main.ts", ...args, "--stop-haproxy"));
  const url = `http://${(await program.next((line) => record(line, "admin")))["admin"]}`;
  await ready(url);
  const readyMs = performance.now() - begun;
  const state = async (): Promise<SidecarState> => await (await fetch(`${url}/state`)).json();
  const running = started.move();
  return {
    egress,
    readyMs,
    haproxy: async () => costsOf((await state()).haproxy.workerPid),
    state,
    cpuMs: () => program.cpuMs(),
    memoryMb: () => program.memoryMb(),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

const READY_WITHIN_MS = 30_000;

async function ready(url: string): Promise<void> {
  const begun = performance.now();
  for (;;) {
    const response = await fetch(`${url}/readyz`);
    const body = await response.text();
    if (response.ok) return;
    if (performance.now() - begun > READY_WITHIN_MS) throw new Error(`Cannot go on: the sidecar is not ready: ${body}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

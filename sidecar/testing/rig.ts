/** A whole sidecar but the stream: a map that the test writes, a real HAProxy, real instances. */
import { createLog, SILENT } from "../../proto/log.ts";
import { DataFolder } from "../haproxy/data_folder.ts";
import { TIMEOUTS, type Timeouts } from "../config/print_base.ts";
import type { EgressSettings } from "../config/print_egress.ts";
import { Haproxy } from "../haproxy/haproxy.ts";
import { Reconciler } from "../reconcile.ts";
import type { ReconcileOptions } from "../reconcile_options.ts";
import { TestMap } from "./following.ts";

export interface Rig extends AsyncDisposable {
  readonly map: TestMap;
  readonly haproxy: Haproxy;
  readonly reconciler: Reconciler;
  /** Of the egress. */
  readonly port: number;
  readonly data: DataFolder;
  readonly egress: EgressSettings;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface RigOptions extends
  Partial<
    Pick<
      ReconcileOptions,
      | "reloadEveryMs"
      | "deleteAfterMs"
      | "lookup"
      | "spares"
      | "refillAfterMs"
      | "portRetryMs"
      | "isEjected"
      | "oldWorkers"
    >
  > {
  readonly timeouts?: Partial<Timeouts>;
  readonly port?: number;
}

const LOG = Deno.env.get("PORTOLAN_TEST_LOG") ? createLog("test") : SILENT;

/** Starts it; HAProxy itself starts with the first map. */
export async function startRig({ timeouts, port = freePort(), ...options }: RigOptions = {}): Promise<Rig> {
  const path = await Deno.makeTempDir({ prefix: "sidecar-" });
  const data = await DataFolder.open(path);
  const map = new TestMap();
  const haproxy = new Haproxy({ data, log: LOG, stopWithSidecar: true, onRestart: () => reconciler.look() });
  const egress = { realm: "local", egress: { host: "127.0.0.1", port }, timeouts: { ...TIMEOUTS, ...timeouts } };
  const reconciler: Reconciler = new Reconciler({
    following: map,
    haproxy,
    data,
    egress,
    log: LOG,
    reloadEveryMs: 0,
    spares: 0,
    ...options,
  });
  const stop = new AbortController();
  const running = reconciler.run(stop.signal);
  running.catch((error) => map.fail(error));
  return {
    map,
    haproxy,
    reconciler,
    port,
    data,
    egress,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running.finally(async () => {
        await haproxy[Symbol.asyncDispose]();
        await map[Symbol.asyncDispose]();
        data[Symbol.dispose]();
        await Deno.remove(path, { recursive: true });
      });
    },
  };
}

/** A port where nobody listens at the time. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

export interface Backend extends AsyncDisposable {
  readonly port: number;
  /** Requests that have arrived, in their order. */
  readonly requests: readonly { readonly url: string; readonly headers: Headers }[];
}

/** An instance that answers with its name, unless told otherwise. */
export function startBackend(name: string, answer?: (request: Request) => Response | Promise<Response>): Backend {
  const requests: { url: string; headers: Headers }[] = [];
  const stop = new AbortController();
  const options = { hostname: "127.0.0.1", port: 0, signal: stop.signal, onListen() {} };
  const server = Deno.serve(options, (request) => {
    requests.push({ url: request.url, headers: new Headers(request.headers) });
    return answer ? answer(request) : new Response(name);
  });
  const end = () => {
    // At once: an answer may be one that never comes.
    stop.abort();
    return server.finished;
  };
  return { port: server.addr.port, requests, [Symbol.asyncDispose]: end };
}

/** An instance that speaks no HTTP: it says its name, and then whatever is said to it. */
export function startEcho(name: string): AsyncDisposable & { readonly port: number } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serve = async () => {
    const talks: Promise<void>[] = [];
    for await (const connection of listener) {
      talks.push(
        (async () => {
          await connection.write(new TextEncoder().encode(name));
          await connection.readable.pipeTo(connection.writable);
        })().catch(() => {}),
      );
    }
    await Promise.all(talks);
  };
  const served = serve();
  const end = () => {
    listener.close();
    return served;
  };
  return { port: listener.addr.port, [Symbol.asyncDispose]: end };
}

/** Names of files and sockets, all in the data folder, which is HAProxy's working directory. */
export const CONFIG_FILE = "haproxy.cfg";
export const ROUTES_FILE = "routes.map";
export const RELAY_SOCKET = "relay.sock";
export const MASTER_SOCKET = "master.sock";
/** Where the sidecar hears of requests that have ended. */
export const ACCESS_SOCKET = "access.sock";

/** Each generation of workers has a socket of its own: a command cannot reach a worker that it is not meant for. */
export function workerSocket(generation: number): string {
  return `worker-${generation}.sock`;
}

/**
 * From a write to the first request through HAProxy that reaches what was written: an instance that has moved, an alias
 * that leads to another version. One kept connection asks on and on from the moment of the write, so a figure is up to
 * one request too long; its floors are looked for in the same way.
 */
import { join } from "node:path";
import { type Backends, startBackends } from "./backends.ts";
import { type BareServer, startBareServer } from "./bare_server.ts";
import { Connection, request } from "./connection.ts";
import { type BenchedControlPlane, putInstance, REALM, revisionOf, startControlPlane } from "./control_plane.ts";
import { BareHaproxy, freePort } from "./haproxy.ts";
import { type Figure, figure, type Sample, takeTurns } from "./measure.ts";
import { Program } from "./program.ts";
import type { Sizes } from "./sizes.ts";
import { watchBare } from "./watch.ts";

export async function writeToRouted(sizes: Sizes, folder: string): Promise<readonly Figure[]> {
  await using used = new AsyncDisposableStack();
  const controlPlane = used.use(await startControlPlane(join(folder, "map"), sizes));
  const bare = used.use(await startBareServer(folder, controlPlane.updateBytes, controlPlane.readBytes));
  const { ports } = used.use(await startBackends());
  const found = await takeTurns({
    ...await ours(controlPlane, join(folder, "sidecar"), ports, used),
    ...await floors(bare, folder, ports, used),
  }, { rounds: sizes.rounds, ...sizes.routedWrites });
  const path = "bare PUT → SQLite → stream → socket";
  const socket = "HAProxy's socket alone: command → routed";
  return [
    figure("PUT of an instance → routed", found.moved, { [path]: found.path, [socket]: found.setServer }),
    figure("PUT of an alias → routed", found.aliased, { [socket]: found.setMap }),
    figure("PUT of an instance → applied is shown", found.applied, { [path]: found.path }),
    figure("one request through the egress port", found.request, { "HAProxy alone": found.bareRequest }),
  ];
}

type Ports = Backends["ports"];

/** Asks for `service` through a HAProxy until the answer comes from `port`; resolves with the time of that answer. */
function looker(connection: Connection, service: string) {
  const get = request("GET", "/", "", { "portolan-service": service });
  return async (port: number): Promise<number> => {
    for (;;) {
      const { status, body } = await connection.ask(get);
      if (status !== 200) throw new Error(`Cannot reach ${service}: status ${status} with "${body}"`);
      if (body === `${port}`) return performance.now();
    }
  };
}

/** One port, then the other, in turn. */
function turns([first, second]: Ports): () => number {
  let now = first;
  return () => now = now === first ? second : first;
}

async function ours(
  controlPlane: BenchedControlPlane,
  folder: string,
  ports: Ports,
  used: AsyncDisposableStack,
): Promise<Record<"moved" | "aliased" | "applied" | "request", Sample>> {
  const api = used.use(await Connection.open(controlPlane.http));
  const followers = used.use(await Connection.open(controlPlane.http));
  const put = async (bytes: Uint8Array) => revisionOf(await api.must(bytes));
  const instance = (service: string, id: string, port: number, version: number) =>
    putInstance(service, id, { host: "127.0.0.1", port, version });
  const alias = (version: number) =>
    request("PUT", `${REALM}/services/aliased/aliases/live`, JSON.stringify({ version }));
  await put(instance("moved", "i", ports[0], 1));
  for (const [i, port] of ports.entries()) await put(instance("aliased", `i${i}`, port, i + 1));
  const routed = await put(alias(1));
  const egress = startSidecar(controlPlane.grpc, folder, used);
  await applied(followers, routed);

  const look = looker(used.use(await Connection.open(egress)), "moved");
  const lookAliased = looker(used.use(await Connection.open(egress)), "aliased");
  const move = turns(ports);
  let at: number = ports[0];
  const next = turns(ports);
  /** The next write begins when this one has been dealt with. */
  const timed = async (bytes: Uint8Array, seen: () => Promise<number>) => {
    const begun = performance.now();
    const [revision, then] = await Promise.all([put(bytes), seen()]);
    await applied(followers, revision);
    return then - begun;
  };
  return {
    moved: () => timed(instance("moved", "i", at = move(), 1), () => look(at)),
    aliased: () => {
      const port = next();
      return timed(alias(port === ports[0] ? 1 : 2), () => lookAliased(port));
    },
    applied: async () => {
      const begun = performance.now();
      await applied(followers, await put(instance("moved", "i", at = move(), 1)));
      return performance.now() - begun;
    },
    request: async () => {
      const begun = performance.now();
      return await look(at) - begun;
    },
  };
}

function startSidecar(controlPlane: string, folder: string, used: AsyncDisposableStack): number {
  const egress = freePort();
  const flags = {
    "control-plane": controlPlane,
    data: folder,
    "host-id": "bench",
    egress: `127.0.0.1:${egress}`,
    admin: "127.0.0.1:0",
  };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value]);
  used.use(Program.deno("sidecar/main.ts", ...args, "--stop-haproxy"));
  return egress;
}

/** Asks who follows until the sidecar has applied `revision`. */
async function applied(connection: Connection, revision: bigint): Promise<void> {
  const get = request("GET", `${REALM}/followers`);
  for (;;) {
    const { followers } = JSON.parse(await connection.must(get));
    for (const { follower, applied } of followers) {
      if (follower.id === "bench" && BigInt(applied?.revision ?? 0) >= revision) return;
    }
  }
}

async function floors(
  bare: BareServer,
  folder: string,
  ports: Ports,
  used: AsyncDisposableStack,
): Promise<Record<"path" | "setServer" | "setMap" | "bareRequest", Sample>> {
  const haproxy = used.use(await BareHaproxy.start(folder, ...ports));
  const look = looker(used.use(await Connection.open(haproxy.port)), "moved");
  const lookAliased = looker(used.use(await Connection.open(haproxy.port)), "aliased");
  const [move, next] = [turns(ports), turns(ports)];
  let at: number = ports[0];
  const tell = () => haproxy.tell(`set server moved/one addr 127.0.0.1 port ${at}`);
  const timed = async (change: () => Promise<unknown>, seen: () => Promise<number>) => {
    const begun = performance.now();
    const [then] = await Promise.all([seen(), change()]);
    return then - begun;
  };

  const api = used.use(await Connection.open(bare.http));
  let told = Promise.resolve("");
  used.use(await watchBare(bare.grpc, () => told = tell()));
  const put = request("PUT", "/path", "{}");
  return {
    path: () => (at = move(), timed(() => api.must(put).then(() => told), () => look(at))),
    setServer: () => (at = move(), timed(tell, () => look(at))),
    setMap: () => {
      const port = next();
      const row = `set map ${join(folder, "routes.map")} aliased ${port === ports[0] ? "v1" : "v2"}`;
      return timed(() => haproxy.tell(row), () => lookAliased(port));
    },
    bareRequest: async () => {
      const begun = performance.now();
      return await look(at) - begun;
    },
  };
}

/**
 * From a write to the first request through HAProxy that reaches what was written: an instance that has moved, the first
 * instance of a new service, an alias that leads to another version. One kept connection asks on and on from the moment
 * of the write, so a figure is up to one request too long; its floors are looked for in the same way.
 */
import { join } from "node:path";
import { type Backends, startBackends } from "./backends.ts";
import { startBareServer } from "./bare_server.ts";
import { Connection, request } from "./connection.ts";
import { type BenchedControlPlane, putInstance, REALM, revisionOf, startControlPlane } from "./control_plane.ts";
import { Looker } from "./looker.ts";
import { type Figure, figure, type Sample, takeTurns } from "./measure.ts";
import { socketFloors, templateFloors, turns } from "./routed_floors.ts";
import { type BenchedSidecar, HOST_ID, startSidecar } from "./sidecar.ts";
import type { Sizes } from "./sizes.ts";

export async function writeToRouted(sizes: Sizes, folder: string): Promise<readonly Figure[]> {
  await using used = new AsyncDisposableStack();
  const { rounds, routedWrites, newServices, rendered } = sizes;
  const controlPlane = used.use(await startControlPlane(join(folder, "map"), sizes));
  const bare = used.use(await startBareServer(folder, controlPlane.updateBytes, controlPlane.readBytes));
  const { ports } = used.use(await startBackends());
  const spares = newServices.warmUp + rounds * newServices.samples;
  const { reloads, ...templates } = await templateFloors(controlPlane, join(folder, "template"), ports, sizes, used);
  const { sidecar, samples } = await ours(controlPlane, join(folder, "sidecar"), ports, used);
  const sockets = await socketFloors(bare, join(folder, "bare"), ports, spares, used);
  const found = await takeTurns(
    { ...samples, ...sockets, ...templates },
    { rounds, ...routedWrites },
    { added: newServices, addServer: newServices, rendered, renderedNew: rendered },
  );
  const path = "bare PUT → SQLite → stream → socket";
  const socket = "HAProxy's socket alone: command → routed";
  const template = "PUT → template → reload → routed";
  const counted = await reloadsOf(sidecar);
  return [
    figure("PUT of an instance → routed", found.moved, { [path]: found.path, [socket]: found.setServer }),
    figure("PUT of a new service's instance → routed", found.added, {
      [socket]: found.addServer,
      [template]: found.renderedNew,
    }),
    figure("PUT of an alias → routed", found.aliased, { [socket]: found.setMap, [template]: found.rendered }),
    figure("PUT of an instance → applied is shown", found.applied, { [path]: found.path }),
    figure("one request through the egress port", found.request, { "HAProxy alone": found.bareRequest }),
    figure("reloads for all of these writes", [counted.forWrites], { "template → reload": [await reloads()] }, ""),
    figure("reloads for more spare backends", [counted.forSpares], { "template → reload": [await reloads()] }, ""),
  ];
}

async function ours(
  controlPlane: BenchedControlPlane,
  folder: string,
  ports: Backends["ports"],
  used: AsyncDisposableStack,
): Promise<{
  readonly sidecar: BenchedSidecar;
  readonly samples: Record<"moved" | "added" | "aliased" | "applied" | "request", Sample>;
}> {
  const api = used.use(await Connection.open(controlPlane.http));
  const followers = used.use(await Connection.open(controlPlane.http));
  const put = async (bytes: Uint8Array) => revisionOf(await api.must(bytes));
  const instance = (service: string, id: string, port: number, version: number) =>
    putInstance(service, id, { host: "127.0.0.1", port, version });
  const alias = (version: number) =>
    request("PUT", `${REALM}/services/aliased/aliases/live`, JSON.stringify({ version }));
  await put(instance("moved", "i", ports[0], 1));
  for (const [i, port] of ports.entries()) await put(instance("aliased", `i${i}`, port, i + 1));
  await put(alias(1));
  const sidecar = used.use(await startSidecar(controlPlane.grpc, folder));

  const looker = used.use(new Looker(sidecar.egress));
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
  let added = 0;
  return {
    sidecar,
    samples: {
      moved: () => timed(instance("moved", "i", at = move(), 1), () => looker.look("moved", at)),
      added: async () => {
        await spare(sidecar);
        const name = `new${added++}`;
        return await timed(instance(name, "i", ports[0], 1), () => looker.look(name, ports[0], true));
      },
      aliased: () => {
        const port = next();
        return timed(alias(port === ports[0] ? 1 : 2), () => looker.look("aliased", port));
      },
      applied: async () => {
        const begun = performance.now();
        await applied(followers, await put(instance("moved", "i", at = move(), 1)));
        return performance.now() - begun;
      },
      request: async () => {
        const begun = performance.now();
        return await looker.look("moved", at) - begun;
      },
    },
  };
}

/** Services come one after the other here: more than there are spare backends for, before there are more. */
async function spare(sidecar: BenchedSidecar): Promise<void> {
  while ((await sidecar.state()).spares < BACKENDS_OF_ONE) await new Promise((resolve) => setTimeout(resolve, 100));
}

/** For all instances, and for the version. */
const BACKENDS_OF_ONE = 2;

async function reloadsOf(sidecar: BenchedSidecar): Promise<{ readonly forWrites: number; readonly forSpares: number }> {
  const { count, newest } = (await sidecar.state()).reloads;
  const forSpares = newest.filter(({ reasons }) => reasons.every((reason) => reason.includes("spare"))).length;
  return { forWrites: count - forSpares, forSpares };
}

/** Asks who follows until the sidecar has applied `revision`. */
async function applied(connection: Connection, revision: bigint): Promise<void> {
  const get = request("GET", `${REALM}/followers`);
  for (;;) {
    const { followers } = JSON.parse(await connection.must(get));
    for (const { follower, applied } of followers) {
      if (follower.id === HOST_ID && BigInt(applied?.revision ?? 0) >= revision) return;
    }
  }
}

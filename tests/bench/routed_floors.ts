/**
 * The floors of routing a write: HAProxy alone, which is told over its runtime socket by whoever measures; the same
 * behind all that a control plane has to do; and a loop that renders and reloads.
 */
import { join } from "node:path";
import type { Backends } from "./backends.ts";
import { type BareServer } from "./bare_server.ts";
import { Connection, request } from "./connection.ts";
import { type BenchedControlPlane, fill, putInstance } from "./control_plane.ts";
import { BareHaproxy, USUAL_TIMEOUTS } from "./haproxy.ts";
import { Looker } from "./looker.ts";
import type { Sample } from "./measure.ts";
import type { Sizes } from "./sizes.ts";
import { startTemplateLoop, type TemplateLoop } from "./template_loop.ts";
import { watchBare } from "./watch.ts";

type Ports = Backends["ports"];

/** One port, then the other, in turn. */
export function turns([first, second]: Ports): () => number {
  let now = first;
  return () => now = now === first ? second : first;
}

/** From the beginning of `change` until `seen`, in ms. */
export async function timed(change: () => Promise<unknown>, seen: () => Promise<number>): Promise<number> {
  const begun = performance.now();
  const [then] = await Promise.all([seen(), change()]);
  return then - begun;
}

/** `path` goes all the way of a write that moves an instance, the others are told. */
export async function socketFloors(
  bare: BareServer,
  folder: string,
  ports: Ports,
  spares: number,
  used: AsyncDisposableStack,
): Promise<Record<"path" | "setServer" | "setMap" | "addServer" | "bareRequest", Sample>> {
  await Deno.mkdir(folder);
  await Deno.writeTextFile(join(folder, "routes.map"), "moved moved\naliased v1\n");
  const haproxy = used.use(await BareHaproxy.start(folder, (port) => configText(port, ports, spares)));
  const looker = used.use(new Looker(haproxy.port));
  const [move, next] = [turns(ports), turns(ports)];
  let at: number = ports[0];
  const tell = () => {
    const [to, from] = at === ports[0] ? ["one", "two"] : ["two", "one"];
    return haproxy.tell(`set server moved/${to} state ready; set server moved/${from} state maint`);
  };

  const api = used.use(await Connection.open(bare.http));
  let told = Promise.resolve("");
  used.use(await watchBare(bare.grpc, () => told = tell()));
  const put = request("PUT", "/path", "{}");
  const look = () => looker.look("moved", at);
  let added = 0;
  return {
    path: () => (at = move(), timed(() => api.must(put).then(() => told), look)),
    setServer: () => (at = move(), timed(tell, look)),
    setMap: () => {
      const port = next();
      const row = `set map routes.map aliased ${port === ports[0] ? "v1" : "v2"}`;
      return timed(() => haproxy.tell(row), () => looker.look("aliased", port));
    },
    addServer: () => {
      const [name, spare] = [`new${added}`, `spare${added++}`];
      const server = `add server ${spare}/i 127.0.0.1:${ports[0]}; set server ${spare}/i state ready`;
      return timed(
        () => haproxy.tell(`${server}; add map routes.map ${name} ${spare}`),
        () => looker.look(name, ports[0], true),
      );
    },
    bareRequest: async () => {
      const begun = performance.now();
      return await looker.look("moved", at) - begun;
    },
  };
}

// A connection that is in use when its server is given another address would be used on and on: there are two servers.
function configText(port: number, [first, second]: Ports, spares: number): string {
  return `
defaults
  mode http
${USUAL_TIMEOUTS}
frontend egress
  bind 127.0.0.1:${port}
  use_backend %[req.fhdr(portolan-service),map(routes.map)]
  default_backend none
backend none
  http-request return status 404
backend moved
  server one 127.0.0.1:${first}
  server two 127.0.0.1:${second} disabled
backend v1
  server one 127.0.0.1:${first}
backend v2
  server one 127.0.0.1:${second}
${Array.from({ length: spares }, (_, n) => `backend spare${n}\n`).join("")}`;
}

/** The loop follows a realm of its own, which is as large: it is at rest while others are measured. */
export async function templateFloors(
  controlPlane: BenchedControlPlane,
  folder: string,
  ports: Ports,
  sizes: Sizes,
  used: AsyncDisposableStack,
): Promise<Record<"rendered" | "renderedNew", Sample> & Pick<TemplateLoop, "reloads">> {
  const realm = "/api/v1/realms/rendered";
  await fill(controlPlane.http, sizes, { realm });
  const api = used.use(await Connection.open(controlPlane.http));
  const alias = (version: number) =>
    api.must(request("PUT", `${realm}/services/aliased/aliases/live`, JSON.stringify({ version })));
  const put = (service: string, id: string, port: number, version = 1) =>
    api.must(putInstance(service, id, { host: "127.0.0.1", port, version }, realm));
  for (const [i, port] of ports.entries()) await put("aliased", `i${i}`, port, i + 1);
  await alias(1);
  const loop = used.use(await startTemplateLoop(folder, controlPlane.http, realm));
  const looker = used.use(new Looker(loop.port));
  const next = turns(ports);
  let added = 0;
  return {
    rendered: () => {
      const port = next();
      return timed(() => alias(port === ports[0] ? 1 : 2), () => looker.look("aliased", port));
    },
    renderedNew: () => {
      const name = `new${added++}`;
      return timed(() => put(name, "i", ports[0]), () => looker.look(name, ports[0], true));
    },
    reloads: () => loop.reloads(),
  };
}

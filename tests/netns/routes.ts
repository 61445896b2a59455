/** Where a HAProxy sends what is asked for a service, told by itself. */

/** `host:port` of the instances that take requests, by service. */
export type Routes = ReadonlyMap<string, ReadonlySet<string>>;

/** Asks the newest worker of a sidecar's data folder. Aliases and versions are left out. */
export async function readRoutes(dataFolder: string): Promise<Routes> {
  const socket = newestSocket(dataFolder);
  const backends = new Map<string, Set<string>>();
  for (const line of (await ask(socket, "show servers state")).split("\n")) {
    // Version 1 of the format: backend, server, address, states, weight by the user, …, port.
    const [, backend = "", , , address, , adminState, weight] = line.split(" ");
    const port = line.split(" ")[18];
    const isReady = (Number(adminState) & ~BEGAN_DISABLED) === 0;
    if (!/^b[0-9]+$/.test(backend) || !isReady || weight === "0") continue;
    backends.set(backend, (backends.get(backend) ?? new Set()).add(`${address}:${port}`));
  }
  const routes = new Map<string, ReadonlySet<string>>();
  for (const line of (await ask(socket, "show map routes.map")).split("\n")) {
    const [, service, backend = ""] = /^\S+ ([a-z0-9-]+)\/1 (\S+)$/.exec(line) ?? [];
    if (service !== undefined) routes.set(service, backends.get(backend) ?? new Set());
  }
  return routes;
}

/** `SRV_ADMF_CMAINT`: it was disabled when it was read, and may have been made ready since. */
const BEGAN_DISABLED = 4;

function newestSocket(folder: string): string {
  const generations = [...Deno.readDirSync(folder)].flatMap(({ name }) => {
    const generation = Number(/^worker-([0-9]+)\.sock$/.exec(name)?.[1]);
    return generation > 0 ? [generation] : [];
  });
  return `${folder}/worker-${Math.max(...generations)}.sock`;
}

async function ask(path: string, command: string): Promise<string> {
  using connection = await Deno.connect({ transport: "unix", path });
  await connection.write(new TextEncoder().encode(`${command}\n`));
  let text = "";
  for await (const chunk of connection.readable.pipeThrough(new TextDecoderStream())) text += chunk;
  return text;
}

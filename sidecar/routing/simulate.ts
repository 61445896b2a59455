/** What commands make of a worker, without a worker. It refuses what a worker refuses. */
import type { Command } from "./command.ts";
import type { Backend, Form, HaproxyPlan, Server, Servers } from "./plan.ts";

/** Folds `commands` over what runs. Throws where a worker would refuse. */
export function simulate(running: HaproxyPlan, commands: readonly Command[]): HaproxyPlan {
  return commands.reduce(step, running);
}

function step(plan: HaproxyPlan, command: Command): HaproxyPlan {
  switch (command.kind) {
    case "replace-routes":
      return { ...plan, routes: command.routes };
    case "set-route":
      if (!plan.routes.has(command.key)) throw new Error(`Cannot set row "${command.key}": there is none`);
      return { ...plan, routes: new Map([...plan.routes, [command.key, command.value]]) };
    case "add-routes": {
      for (const key of command.routes.keys()) {
        if (plan.routes.has(key)) throw new Error(`Cannot add row "${key}": it is there`);
      }
      return { ...plan, routes: new Map([...plan.routes, ...command.routes]) };
    }
    case "add-server": {
      const { slot, server, form } = command;
      const backend = backendOf(plan, slot, form);
      if (backend.servers.has(server.name)) throw new Error(`Cannot add server "${slot}/${server.name}": it is there`);
      return withServer(plan, backend, { ...server, state: "maintenance" });
    }
    case "set-weight":
      return change(plan, command, ({ weight }) => ({ weight }));
    case "set-state":
      return change(plan, command, ({ state }) => ({ state }));
  }
}

function change<C extends { readonly slot: string; readonly name: string }>(
  plan: HaproxyPlan,
  command: C,
  changes: (command: C) => Partial<Server>,
): HaproxyPlan {
  const backend = backendOf(plan, command.slot);
  return withServer(plan, backend, { ...serverOf(backend, command.name), ...changes(command) });
}

/** A worker has no idea of what a spare is taken for. */
function backendOf(plan: HaproxyPlan, slot: string, form?: Form): Backend {
  const backend = plan.backends.get(slot);
  if (backend) return backend;
  if (!form || !plan.spares.includes(slot)) throw new Error(`Cannot find backend "${slot}"`);
  return { slot, service: "", pool: "all", form, servers: new Map() };
}

function serverOf(backend: Backend, name: string): Server {
  const server = backend.servers.get(name);
  if (!server) throw new Error(`Cannot find server "${backend.slot}/${name}"`);
  return server;
}

function withServer(plan: HaproxyPlan, backend: Backend, server: Server): HaproxyPlan {
  return withServers(plan, backend, new Map([...backend.servers, [server.name, server]]));
}

function withServers(plan: HaproxyPlan, backend: Backend, servers: Servers): HaproxyPlan {
  return { ...plan, backends: new Map([...plan.backends, [backend.slot, { ...backend, servers }]]) };
}

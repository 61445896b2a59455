/** What leads from the plan that runs to the next one. */
import type { Command } from "./command.ts";
import type { Backend, HaproxyPlan, Server, Servers } from "./plan.ts";
import { standsAlone } from "./rows.ts";

export type Transition =
  | { readonly kind: "none" }
  | { readonly kind: "runtime"; readonly commands: readonly Command[] }
  | { readonly kind: "reload"; readonly reasons: readonly ReloadReason[] };

/** Why a reload is needed. */
export interface ReloadReason {
  /** For metrics, where sentences would be as many as services. `unknown_state`: what a worker runs is not known. */
  readonly kind:
    | "new_service"
    | "new_version"
    | "no_live_alias"
    | "other_form"
    | "sticky_header"
    | "port"
    | "spares"
    | "unknown_state";
  /** A sentence, for people. */
  readonly text: string;
}

/**
 * Only a backend, a sticky header or a port that HAProxy does not know costs a reload. The order of commands: who comes, then
 * the routes, then who goes; so no backend that has usable servers before and after is without one in between.
 */
export function diff(running: HaproxyPlan, plan: HaproxyPlan): Transition {
  const reasons = reloadReasons(running, plan);
  if (reasons.length > 0) return { kind: "reload", reasons };
  const coming: Command[] = [];
  const going: Command[] = [];
  for (const backend of plan.backends.values()) {
    // One that was a spare has no servers yet.
    const before = running.backends.get(backend.slot)?.servers ?? NO_SERVERS;
    if (before !== backend.servers) serverCommands(before, backend, coming, going);
  }
  const commands = [...coming, ...routeCommands(running.routes, plan.routes), ...going];
  return commands.length === 0 ? { kind: "none" } : { kind: "runtime", commands };
}

const NO_SERVERS: Servers = new Map();

function reloadReasons(running: HaproxyPlan, plan: HaproxyPlan): readonly ReloadReason[] {
  const spares = new Set(running.spares);
  const added = [...plan.backends.values()].filter(({ slot }) => !running.backends.has(slot) && !spares.has(slot));
  const reasons = added.map((backend) => whyAdded(backend, running));
  for (const header of plan.stickyHeaders) {
    if (running.stickyHeaders.includes(header)) continue;
    reasons.push({ kind: "sticky_header", text: `new sticky header "${header}"` });
  }
  for (const [port, { service, speaks }] of plan.listeners) {
    const known = running.listeners.get(port);
    if (known?.service === service && known.speaks === speaks) continue;
    reasons.push({ kind: "port", text: `new port ${port} of "${service}"` });
  }
  for (const [port, { service }] of running.listeners) {
    if (!plan.listeners.has(port)) reasons.push({ kind: "port", text: `"${service}" has no port ${port} any more` });
  }
  if (reasons.length === 0 && plan.spares.some((slot) => !spares.has(slot))) {
    reasons.push({ kind: "spares", text: "few spare backends are left" });
  }
  // Each pool of a new service says the same.
  return [...new Map(reasons.map((reason) => [reason.text, reason])).values()];
}

function whyAdded({ service, pool }: Backend, running: HaproxyPlan): ReloadReason {
  const before = [...running.backends.values()].filter((backend) => backend.service === service);
  if (before.length === 0) return { kind: "new_service", text: `new service "${service}"` };
  if (before.some((backend) => backend.pool === pool)) {
    return { kind: "other_form", text: `"${service}" is reached in another way` };
  }
  return pool === "all"
    ? { kind: "no_live_alias", text: `"${service}" has no alias "live" any more` }
    : { kind: "new_version", text: `new version ${pool} of "${service}"` };
}

function serverCommands(before: Servers, after: Backend, coming: Command[], going: Command[]): void {
  const { slot, form } = after;
  for (const server of after.servers.values()) {
    const old = before.get(server.name);
    if (!old) {
      coming.push({ kind: "add-server", slot, server, form });
      if (server.state === "ready") coming.push({ kind: "set-state", slot, name: server.name, state: "ready" });
    } else if (old !== server) {
      changeCommands(slot, old, server, coming, going);
    }
  }
}

function changeCommands(slot: string, old: Server, server: Server, coming: Command[], going: Command[]): void {
  const { name, weight } = server;
  if (old.weight !== weight) (weight > 0 ? coming : going).push({ kind: "set-weight", slot, name, weight });
  const ready = server.state === "ready";
  if (ready === (old.state === "ready")) return;
  (ready ? coming : going).push({ kind: "set-state", slot, name, state: ready ? "ready" : "maintenance" });
}

/**
 * One row is changed in place, and rows that mean something each for itself are added; anything more has to happen at
 * one instant.
 */
function routeCommands(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): Command[] {
  if (before === after) return [];
  const added = new Map<string, string>();
  const changed = new Map<string, string>();
  for (const [key, value] of after) {
    const old = before.get(key);
    if (old !== value) (old === undefined ? added : changed).set(key, value);
  }
  const removed = before.size + added.size - after.size;
  if (removed > 0 || changed.size > 1 || ![...added.keys()].every(standsAlone)) {
    return [{ kind: "replace-routes", routes: after }];
  }
  const inPlace = Array.from(changed, ([key, value]): Command => ({ kind: "set-route", key, value }));
  return added.size === 0 ? inPlace : [{ kind: "add-routes", routes: added }, ...inPlace];
}

/** A plan read back from the files that it was printed to: what the sidecar before this one left. Pure. */
import type { Backend, HaproxyPlan, Listener, Pool, Server } from "../routing/plan.ts";
import { isSlot } from "../routing/slot.ts";
import { parseForm } from "./form.ts";

export interface Parsed {
  readonly plan: HaproxyPlan;
  readonly generation: number;
  readonly realm: string;
}

/** Reads what `print` wrote; `undefined` if it is not quite that: another version of the sidecar may print otherwise. */
export function parse(config: string, routes: string): Parsed | undefined {
  const lines = config.split("\n");
  const generation = numberAfter(lines, "# generation ");
  const nextSlot = numberAfter(lines, "# next slot ");
  const rows = parseRows(routes);
  const pools = parsePools(lines);
  if (generation === undefined || nextSlot === undefined || !rows || !pools) return undefined;
  const stickyHeaders = lines.flatMap((text) => text.startsWith(STICKY) ? [text.slice(STICKY.length)] : []);
  const realm = textAfter(lines, "# realm ");
  return {
    realm,
    generation,
    plan: { ...pools, listeners: parseListeners(lines), routes: rows, stickyHeaders, nextSlot },
  };
}

const STICKY = "# sticky header ";

function textAfter(lines: readonly string[], start: string): string {
  return lines.find((text) => text.startsWith(start))?.slice(start.length) ?? "";
}

function numberAfter(lines: readonly string[], start: string): number | undefined {
  const digits = textAfter(lines, start);
  return /^[0-9]{1,9}$/.test(digits) ? Number(digits) : undefined;
}

function parseRows(text: string): ReadonlyMap<string, string> | undefined {
  const rows = new Map<string, string>();
  for (const row of text.split("\n")) {
    if (row === "") continue;
    const [key = "", value = "", ...more] = row.split(" ");
    if (key === "" || value === "" || more.length > 0) return undefined;
    rows.set(key, value);
  }
  return rows;
}

function parsePools(lines: readonly string[]): Pick<HaproxyPlan, "backends" | "spares"> | undefined {
  const backends = new Map<string, Backend>();
  const spares: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const slot = /^backend ([a-z0-9_]+) from (?:service|bytes)$/.exec(lines[at] ?? "")?.[1];
    if (slot === undefined || !isSlot(slot)) continue;
    const comment = lines[at - 1] ?? "";
    if (comment === "# spare") {
      spares.push(slot);
      continue;
    }
    const held = parseHeld(comment);
    if (!held) return undefined;
    const servers = new Map<string, Server>();
    for (at++; at < lines.length && lines[at] !== ""; at++) {
      const text = lines[at] ?? "";
      if (!text.startsWith("  server ")) continue;
      const server = parseServer(text);
      if (!server) return undefined;
      servers.set(server.name, server);
    }
    backends.set(slot, { slot, ...held, servers });
  }
  return { backends, spares };
}

function parseHeld(comment: string): Omit<Backend, "slot" | "servers"> | undefined {
  const [, service, all, version, rest = ""] =
    /^# ([a-z0-9-]+): (?:(all instances)|version ([0-9]+))((?:, [a-z0-9_ ]+)*)$/.exec(comment) ?? [];
  if (service === undefined) return undefined;
  const pool: Pool = all === undefined ? Number(version) : "all";
  const form = parseForm(rest);
  return form && { service, pool, form };
}

function parseServer(text: string): Server | undefined {
  const [, name, host, port, weight, options] =
    /^ {2}server ([a-z0-9-]+(?:\.[0-9]+)?) \[?([0-9a-f.:]+?)\]?:([0-9]+) weight ([0-9]+)( .*)?$/.exec(text) ?? [];
  if (name === undefined || host === undefined) return undefined;
  const state = options?.endsWith(" disabled") ? "maintenance" : "ready";
  return { name, host, port: Number(port), weight: Number(weight), state };
}

function parseListeners(lines: readonly string[]): ReadonlyMap<number, Listener> {
  const listeners = new Map<number, Listener>();
  for (const [at, text] of lines.entries()) {
    const [, service, from] = /^frontend local\.([a-z0-9-]+) from (egress|bytes)$/.exec(text) ?? [];
    const port = /:([0-9]+)$/.exec(lines[at + 1] ?? "")?.[1];
    if (service === undefined || port === undefined) continue;
    listeners.set(Number(port), { service, speaks: from === "egress" ? "http" : "tcp" });
  }
  return listeners;
}

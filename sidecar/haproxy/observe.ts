/** What a worker runs, whatever its files say: its servers and its map, read from its socket. */
import { ROUTES_FILE } from "../config/names.ts";
import { phrase, Word } from "../config/text.ts";
import type { Server } from "../routing/plan.ts";
import { isSlot } from "../routing/slot.ts";
import { columnsOf } from "./columns.ts";
import { CommandSocket } from "./command_socket.ts";

export interface ObservedServer extends Omit<Server, "state"> {
  /** One that drains takes no new requests of callers without a kept session: it is `ready`, with its weight. */
  readonly state: "ready" | "maintenance";
}

export interface Observed {
  /** By slot, then by name. A backend without servers is not there. */
  readonly servers: ReadonlyMap<string, ReadonlyMap<string, ObservedServer>>;
  /** Rows of the map that requests are looked up in, in their order. */
  readonly routes: ReadonlyMap<string, string>;
}

/** Reads it all. Throws what keeps the worker from answering within 5 s, and if it answers otherwise than HAProxy does. */
export async function observe(socketPath: string): Promise<Observed> {
  using socket = await CommandSocket.open(socketPath);
  // One after the other: an answer is long, and one that is not read holds the other up.
  const servers = parseServers(await socket.ask(phrase`show servers state`));
  const routes = parseRows(await socket.ask(phrase`show map ${Word.fileName(ROUTES_FILE)}`));
  return { servers, routes };
}

/** Maintenance by command, by another server that is tracked, or for want of an address; not that it once was in the file. */
const MAINTENANCE = 0x01 | 0x02 | 0x20;

function parseServers(text: string): Observed["servers"] {
  const [version, header = "", ...rows] = text.split("\n");
  if (version !== "1") throw new Error(`Cannot read HAProxy's servers in version "${version}": expected 1`);
  const column = columnsOf(header, " ");
  const [slotAt, nameAt, hostAt] = [column("be_name"), column("srv_name"), column("srv_addr")];
  const [portAt, weightAt, adminAt] = [column("srv_port"), column("srv_uweight"), column("srv_admin_state")];
  const servers = new Map<string, Map<string, ObservedServer>>();
  for (const row of rows) {
    const cells = row.split(" ");
    const slot = cells[slotAt] ?? "";
    if (!isSlot(slot)) continue;
    const name = cells[nameAt] ?? "";
    const held = servers.get(slot) ?? new Map<string, ObservedServer>();
    servers.set(slot, held);
    held.set(name, {
      name,
      host: cells[hostAt] ?? "",
      port: Number(cells[portAt]),
      weight: Number(cells[weightAt]),
      state: (Number(cells[adminAt]) & MAINTENANCE) === 0 ? "ready" : "maintenance",
    });
  }
  return servers;
}

/** `0x5559c1014ec0 identity/1 b001` */
function parseRows(text: string): Observed["routes"] {
  const rows = new Map<string, string>();
  for (const row of text.split("\n")) {
    const [, key = "", value = ""] = row.split(" ");
    if (key !== "") rows.set(key, value);
  }
  return rows;
}

/** A copy of the store over HTTP. */
import type { Context } from "hono";
import { Quota } from "../app/quota.ts";
import { invalid, isRefusal, type Refusal } from "../domain/refusal.ts";
import { placeIn, refuseUnknownQuery, type Routes } from "./http_common.ts";
import { holding } from "./http_long.ts";
import type { Ports } from "./ports.ts";

/** Copies that one address may be reading at once: each takes its room on the disk until it is read. */
const COPIES_AT_ONCE = 2;

export function backupRoutes({ backup }: Ports): Routes {
  const copies = new Quota(COPIES_AT_ONCE, "backups");
  return {
    "/api/v1/backup": { GET: (context) => refuseUnknownQuery(context, []) ?? send(backup, copies, context) },
  };
}

async function send(backup: Ports["backup"], copies: Quota, context: Context): Promise<Response | Refusal> {
  if (!backup) return invalid([{ field: "store", description: "keeps no file: use the tools of what it is kept in" }]);
  const place = placeIn(copies, context);
  if (isRefusal(place)) return place;
  try {
    const file = await copyOf(backup);
    const { size } = await file.stat();
    const headers = { "content-type": "application/vnd.sqlite3", "content-length": size.toString() };
    return new Response(holding(place, file.readable), { headers });
  } catch (error) {
    place[Symbol.dispose]();
    throw error;
  }
}

/** Open, it outlives its name. */
async function copyOf(backup: (path: string) => Promise<void>): Promise<Deno.FsFile> {
  const folder = await Deno.makeTempDir({ prefix: "portolan-backup-" });
  try {
    const path = `${folder}/map.sqlite`;
    await backup(path);
    return await Deno.open(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

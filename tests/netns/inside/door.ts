import { createLog } from "../../../proto/log.ts";

export const DOOR = "tests/netns/inside/door.ts";

/** Lets who stands outside into a host's network: what is asked over a Unix socket is asked of the host in the URL. */
export function openDoor(path: string): void {
  Deno.serve({ path, onListen() {} }, async ({ method, url, body }) => {
    try {
      return await fetch(url, { method, body });
    } catch (error) {
      return new Response(String(error), { status: 502 });
    }
  });
}

if (import.meta.main) {
  openDoor(Deno.args[0] ?? "");
  createLog("door").info("Serving");
}

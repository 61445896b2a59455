/**
 * Saves the service `new` into a folder, and is killed (-9) before its Nth step: each call that touches the disk is one.
 * Says each step as it comes. Arguments: folder, N (0: never).
 */
import { SILENT } from "../../proto/log.ts";
import { SavedMap } from "../saved_map.ts";
import { services, snapshot } from "./saved_maps.ts";

const [folder = "", killAt] = Deno.args;
let steps = 0;

function step(name: string): void {
  if (++steps === Number(killAt)) Deno.kill(Deno.pid, "SIGKILL");
  console.log(name);
}

const { open, rename } = Deno;
const { write, sync, syncData } = Deno.FsFile.prototype;
Object.assign(Deno, {
  open(...args: Parameters<typeof open>) {
    step(args[1]?.write ? "open file" : "open folder");
    return open(...args);
  },
  rename(...args: Parameters<typeof rename>) {
    step("rename");
    return rename(...args);
  },
});
Object.assign(Deno.FsFile.prototype, {
  // In pieces, so that it can end between them.
  write(this: Deno.FsFile, bytes: Uint8Array) {
    step("write");
    return write.call(this, bytes.subarray(0, 40));
  },
  sync(this: Deno.FsFile) {
    step("sync");
    return sync.call(this);
  },
  syncData(this: Deno.FsFile) {
    step("sync data");
    return syncData.call(this);
  },
});

const saved = new SavedMap({ folder, scope: { realm: "local", services: [] }, heardAt: () => 2, log: SILENT });
saved.save(snapshot(2n, services("new", "new-too")));
await saved[Symbol.asyncDispose]();

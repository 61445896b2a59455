/**
 * A registrar whose disk does not take the id of its lease: it hangs for good where it would be put in place. Goes on until
 * it is killed. Arguments: services folder, data folder, control plane.
 */
import { startRegistrar } from "./registrar.ts";

const [services = "", data = "", target = ""] = Deno.args;

const { rename } = Deno;
Object.assign(Deno, {
  rename(from: string, to: string) {
    return Deno.readTextFileSync(from).includes('"leaseId"') ? new Promise(() => {}) : rename(from, to);
  },
});

await startRegistrar({ target, folders: { services, data }, ttlMs: 60_000 });

/**
 * A sidecar's part that concerns HAProxy, as a program of its own that can be killed: goes on from what is in the data
 * folder, and changes everything there is to change, without and with a reload.
 */
import { SILENT } from "../../../proto/log.ts";
import { parse } from "../../config/parse.ts";
import { assign } from "../../routing/assign.ts";
import { diff } from "../../routing/diff.ts";
import { instance, service, wantedOf } from "../../testing/maps.ts";
import { DataFolder } from "../data_folder.ts";
import { Haproxy } from "../haproxy.ts";
import { planOf, printer } from "./plans.ts";

const [folder = "", egress, instancePort] = Deno.args;
const print = printer(Number(egress));
const instances = [instance("i1", { port: Number(instancePort) })];
const identity = service("identity", { instances });

using data = await DataFolder.open(folder);
const haproxy = new Haproxy({ data, log: SILENT, stopWithSidecar: false });
const installed = data.readInstalled();
const found = installed && parse(installed.config, installed.routes);
const before = found?.plan ?? planOf([identity]);
if (!found || !await haproxy.adopt(found.generation)) {
  await haproxy.start((generation) => print(before, generation));
}
// A backend and rows that were never there come, others go.
const name = `s${before.nextSlot}`;
const plan = planOf([identity, service(name, { instances })], before);
await haproxy.reload((generation) => print(plan, generation));
// Servers and rows change without a reload.
const calm = assign(wantedOf(identity, service(name, { instances, enabled: false })), plan);
const transition = diff(plan, calm);
if (transition.kind !== "runtime") throw new Error(`expected commands, not ${transition.kind}`);
await haproxy.update((generation) => print(calm, generation), transition.commands);
await data.sync();
await haproxy[Symbol.asyncDispose]();
console.log("done");
Deno.exit(0);

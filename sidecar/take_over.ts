/** What the sidecar before this one left: HAProxy that runs, or files that it can run from. */
import type { Log } from "../proto/log.ts";
import { parse } from "./config/parse.ts";
import { type Files, print } from "./config/print.ts";
import type { EgressSettings } from "./config/print_egress.ts";
import type { DataFolder } from "./haproxy/data_folder.ts";
import type { Haproxy } from "./haproxy/haproxy.ts";
import { diff } from "./routing/diff.ts";
import type { HaproxyPlan, Server } from "./routing/plan.ts";

export interface TakeOverOptions {
  readonly data: Pick<DataFolder, "readInstalled">;
  readonly haproxy: Pick<Haproxy, "adopt" | "startAsIs" | "observe" | "update" | "reload">;
  readonly egress: EgressSettings;
  readonly log: Log;
}

export interface TakenOver {
  /** What HAProxy runs now: what its files say. */
  readonly plan: HaproxyPlan;
  /** Of the map that the files say: `epoch.revision`, or `none`. */
  readonly position: string;
}

/**
 * Has HAProxy go on, or started again, from the files that are there, without a map; `undefined` where there are none
 * that are whole, of this realm and of this program's making: then the first map makes new ones.
 */
export async function takeOver({ data, haproxy, egress, log }: TakeOverOptions): Promise<TakenOver | undefined> {
  const installed = data.readInstalled();
  if (!installed) return undefined;
  const { config, routes, position } = installed;
  const parsed = parse(config, routes);
  if (parsed?.realm !== egress.realm) {
    log.warn("HAProxy's files are of another realm or version: the first map replaces them", { realm: parsed?.realm });
    return undefined;
  }
  const { plan, generation } = parsed;
  const printer = (generation: number): Files => print(plan, egress, { generation, position });
  try {
    const runs = await haproxy.adopt(generation);
    if (!runs) await haproxy.startAsIs(generation);
    // The settings of this sidecar, or what it prints, differ from those of the one before.
    if (printer(generation).config.text !== config) await haproxy.reload(printer);
    else if (runs) await catchUp(haproxy, plan, printer);
    return { plan, position };
  } catch (error) {
    log.error("Cannot go on from HAProxy's files: the first map replaces them", { reason: error });
    return undefined;
  }
}

/** The sidecar before may have ended between the files and the last commands. */
async function catchUp(haproxy: TakeOverOptions["haproxy"], plan: HaproxyPlan, printer: (generation: number) => Files) {
  const { servers, routes } = await haproxy.observe();
  const backends = [...plan.backends].map(([slot, backend]) => {
    const found = servers.get(slot) ?? new Map<string, Server>();
    return [slot, { ...backend, servers: found }] as const;
  });
  const transition = diff({ ...plan, backends: new Map(backends), routes }, plan);
  if (transition.kind === "runtime") await haproxy.update(printer, transition.commands);
}

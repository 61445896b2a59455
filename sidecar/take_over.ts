/** What the sidecar before this one left: HAProxy that runs, or files that it can run from. */
import type { Log } from "../proto/log.ts";
import { formatAddress } from "../proto/settings.ts";
import { parse } from "./config/parse.ts";
import { type Files, print } from "./config/print.ts";
import type { EgressSettings } from "./config/print_egress.ts";
import type { DataFolder } from "./haproxy/data_folder.ts";
import type { Haproxy } from "./haproxy/haproxy.ts";
import { bindsOf } from "./haproxy/new_ports.ts";
import { diff } from "./routing/diff.ts";
import type { HaproxyPlan, Server } from "./routing/plan.ts";

export interface TakeOverOptions {
  readonly data: Pick<DataFolder, "readInstalled">;
  readonly haproxy: Pick<Haproxy, "adopt" | "startAsIs" | "observe" | "update" | "reload">;
  readonly egress: EgressSettings;
  readonly log: Log;
}

export interface TakenOver {
  /** What HAProxy runs now: what its files say, and servers that they do not have any more and somebody still uses. */
  readonly plan: HaproxyPlan;
  /** Of the map that the files say: `epoch.revision`, or `none`. */
  readonly position: string;
  /** Why it may run something else; then it is reloaded with the first map. */
  readonly unknown?: string;
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
  let runs: boolean;
  try {
    runs = await haproxy.adopt(generation);
    if (!runs) await haproxy.startAsIs(generation);
  } catch (error) {
    log.error("Cannot go on from HAProxy's files: the first map replaces them", { reason: error });
    return undefined;
  }
  try {
    // The settings of this sidecar, or what it prints, differ from those of the one before.
    if (printer(generation).config.text !== config) await haproxy.reload(printer);
    else if (runs) return { plan: await catchUp(haproxy, plan, printer), position };
    return { plan, position };
  } catch (error) {
    log.warn("HAProxy does not do what its files say: reloading with the first map", { reason: error });
    return { plan: withHeld(plan, config, egress), position, unknown: (error as Error).message };
  }
}

/** The plan with those ports alone that HAProxy has by `config` at the address of today's settings. */
function withHeld(plan: HaproxyPlan, config: string, { egress: { host } }: EgressSettings): HaproxyPlan {
  const held = bindsOf(config);
  return {
    ...plan,
    listeners: new Map([...plan.listeners].filter(([port]) => held.has(formatAddress({ host, port })))),
  };
}

/**
 * The sidecar before may have ended between the files and the last commands. Answers what runs then: what the files say,
 * and servers that are out of them and not deleted yet.
 */
async function catchUp(
  haproxy: TakeOverOptions["haproxy"],
  plan: HaproxyPlan,
  printer: (generation: number) => Files,
): Promise<HaproxyPlan> {
  const { servers, routes } = await haproxy.observe();
  const found = [...plan.backends].map(([slot, backend]) =>
    [slot, { ...backend, servers: servers.get(slot) ?? new Map<string, Server>() }] as const
  );
  const runs = { ...plan, backends: new Map(found), routes };
  const caughtUp = {
    ...plan,
    backends: new Map([...plan.backends].map(([slot, backend]) => {
      const gone = [...servers.get(slot)?.values() ?? []].filter(({ name }) => !backend.servers.has(name));
      const leaving = gone.map((server) => [server.name, { ...server, state: "leaving" }] as const);
      return [slot, gone.length === 0 ? backend : { ...backend, servers: new Map([...backend.servers, ...leaving]) }];
    })),
  };
  const transition = diff(runs, caughtUp);
  if (transition.kind === "runtime") await haproxy.update(printer, transition.commands);
  return caughtUp;
}

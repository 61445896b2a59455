/** What a sidecar does with the map before it tells HAProxy anything, as functions: all of it, and one change of it. */
import type { Service } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { type Files, print } from "../../sidecar/config/print.ts";
import { TIMEOUTS } from "../../sidecar/config/print_base.ts";
import type { EgressSettings } from "../../sidecar/config/print_egress.ts";
import { assign } from "../../sidecar/routing/assign.ts";
import { diff } from "../../sidecar/routing/diff.ts";
import { EMPTY_PLAN, type HaproxyPlan } from "../../sidecar/routing/plan.ts";
import { instance, service, wantedOf } from "../../sidecar/testing/maps.ts";
import { type Figure, figure, takeTurns } from "./measure.ts";
import type { Sizes } from "./sizes.ts";
import { fillTemplate } from "./template.ts";

const SPARES = 128;
const EGRESS: EgressSettings = { realm: "local", egress: { host: "127.0.0.1", port: 7410 }, timeouts: TIMEOUTS };

export async function sidecarWork({ sidecarMap, rounds, renders }: Sizes, what: string): Promise<readonly Figure[]> {
  const services = servicesOf(sidecarMap);
  const found = await takeTurns({
    whole: () => timed(() => print(start(services), EGRESS, { generation: 1 })),
    change: changes(services),
    template: () => timed(() => fillTemplate(services, 7410)),
  }, { rounds, ...renders });
  const floor = { "a template of the whole, unchecked": found.template };
  return [
    figure(`render, assign, print all, ${what}`, found.whole, floor),
    figure(`render, assign, diff, print a change, ${what}`, found.change, floor),
  ];
}

/** As a control plane has them after they have been registered. */
function servicesOf({ services, instances }: Sizes["sidecarMap"]): readonly Service[] {
  return Array.from({ length: services }, (_, n) => changed(n, instances, 8_080));
}

function changed(n: number, instances: number, port: number): Service {
  return service(`s${n}`, { instances: Array.from({ length: instances }, (_, i) => instance(`i${i}`, { port })) });
}

function start(services: readonly Service[]): HaproxyPlan {
  return assign(wantedOf(...services), EMPTY_PLAN, { reloading: "refill", spares: SPARES });
}

/** Each moves the instances of the next service. */
function changes(services: readonly Service[]): () => Promise<number> {
  const wanted = new Map(wantedOf(...services));
  let running = start(services);
  print(running, EGRESS, { generation: 1 });
  let count = 0;
  return () => {
    const n = count++ % services.length;
    const next = changed(n, services[n]?.instances.length ?? 0, 10_000 + count % 50_000);
    return timed(() => {
      for (const [name, one] of wantedOf(next)) wanted.set(name, one);
      const plan = assign(wanted, running, { spares: SPARES });
      const { kind } = diff(running, plan);
      if (kind !== "runtime") throw new Error(`Cannot time a change: expected one without a reload, got ${kind}`);
      running = plan;
      return print(plan, EGRESS, { generation: 1 });
    });
  };
}

/** In ms, with the texts as they are written to files. */
function timed(work: () => Files | { readonly config: string }): Promise<number> {
  const begun = performance.now();
  const { config } = work();
  encoder.encode(typeof config === "string" ? config : config.text);
  return Promise.resolve(performance.now() - begun);
}

const encoder = new TextEncoder();

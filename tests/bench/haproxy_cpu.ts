/**
 * What a request costs HAProxy: with the configuration that the sidecar prints, of a map of this many services, beside
 * one that was written by hand. Processor time of all threads of the worker, by requests.
 */
import { join } from "node:path";
import { request } from "./connection.ts";
import { fill, serve } from "./control_plane.ts";
import { startHandWritten } from "./hand_written.ts";
import { startInstance } from "./haproxy.ts";
import { hasWrk, load, paced, wrk } from "./load.ts";
import { PATH, sdkHeaders } from "./sdk_request.ts";
import { type Figure, paired, type Sample, takeTurns } from "./measure.ts";
import type { Costs } from "./program.ts";
import { startSidecar } from "./sidecar.ts";
import type { Sizes } from "./sizes.ts";

const INSTANCES = 3;
const CONNECTIONS = 8;

export async function haproxyCpu(sizes: Sizes, folder: string): Promise<readonly Figure[]> {
  await using used = new AsyncDisposableStack();
  const { port } = used.use(await startInstance(join(folder, "instance")));
  const [fewest = 1, most = 1] = [sizes.proxied[0], sizes.proxied.at(-1)];
  const script = join(folder, "in_turn.lua");
  await Deno.writeTextFile(script, inTurnText(most));
  const pairs = await Promise.all(
    sizes.proxied.map((services) => startPair(join(folder, `${services}`), services, port, used)),
  );
  const subjects: Record<string, Sample> = {};
  for (const [i, services] of sizes.proxied.entries()) {
    for (const [who, proxy] of Object.entries(pairs[i] ?? {})) {
      subjects[`${who} ${services}`] = cost(proxy, kept(sizes, { services }));
      if (services !== most) continue;
      subjects[`${who} in turn`] = cost(proxy, kept(sizes, { services, script }));
      subjects[`${who} fresh`] = cost(proxy, kept(sizes, { services, fresh: true }));
      subjects[`${who} bounded`] = cost(proxy, bounded(sizes));
    }
  }
  const found = await takeTurns(subjects, { rounds: sizes.proxiedRounds, samples: 1, warmUp: 1 });
  const of = (name: string) => found[name] ?? [];
  const figureOf = (what: string, which: string | number, more: Readonly<Record<string, readonly number[]>> = {}) => {
    const floors = { "by hand": of(`hand ${which}`), ...more };
    return paired(`HAProxy's CPU of a request, ${what}`, of(`ours ${which}`), floors, "µs");
  };
  const withFewest = { [`ours, ${count(fewest)}`]: of(`ours ${fewest}`) };
  return [
    ...sizes.proxied.map((services) => figureOf(count(services), services, services === fewest ? {} : withFewest)),
    figureOf(`${count(most)}, each in turn`, "in turn"),
    figureOf(`${count(most)}, ${sizes.perSecond} /s`, "bounded"),
    figureOf(`${count(most)}, a connection each`, "fresh"),
  ];
}

interface Proxy {
  readonly port: number;
  readonly costs: Costs;
}

async function startPair(
  folder: string,
  services: number,
  port: number,
  used: AsyncDisposableStack,
): Promise<Readonly<Record<"ours" | "hand", Proxy>>> {
  const served = { services, instances: INSTANCES, port };
  const { program, http, grpc } = await serve(join(folder, "map"));
  used.use(program);
  await fill(http, served, { port });
  const sidecar = used.use(await startSidecar(grpc, join(folder, "sidecar")));
  const { haproxy } = await startHandWritten(join(folder, "hand"), served, used);
  return {
    ours: { port: sidecar.egress, costs: await sidecar.haproxy() },
    hand: { port: haproxy.port, costs: haproxy },
  };
}

/** Sends requests to a port; answers how many. */
type Run = (port: number) => Promise<number>;

/** µs of a request, of one turn of load. */
function cost({ port, costs }: Proxy, run: Run): Sample {
  return async () => {
    const before = costs.cpuMs();
    const requests = await run(port);
    return (costs.cpuMs() - before) * 1_000 / requests;
  };
}

interface Requests {
  readonly services: number;
  /** Each on a connection of its own. */
  readonly fresh?: boolean;
  /** For wrk, to send to all services in turn; else they go to one. */
  readonly script?: string;
}

/** As many as there can be, one under way on each of a few connections. */
function kept({ proxiedMs: ms }: Sizes, { services, fresh = false, script }: Requests): Run {
  let sent = 0;
  const next = () => `s${script === undefined ? services >> 1 : sent++ % services}`;
  const headers = () => ({ ...sdkHeaders(next()), ...(fresh && { connection: "close" }) });
  const options = { connections: CONNECTIONS, ms };
  const run = hasWrk(ms)
    ? (port: number) => wrk({ ...options, port, headers: headers(), ...(script !== undefined && { script }) }, PATH)
    : (port: number) => load({ ...options, port, fresh }, () => request("GET", PATH, "", headers()));
  return async (port) => (await run(port)).requests;
}

/** So many in a second, whatever they cost. */
function bounded({ pacedMs: ms, perSecond }: Sizes): Run {
  const get = request("GET", PATH, "", sdkHeaders("s0"));
  return (port) => paced({ port, connections: CONNECTIONS, ms }, perSecond, () => get);
}

function inTurnText(services: number): string {
  return `
local sent = 0
request = function()
  sent = sent + 1
  wrk.headers["portolan-service"] = "s" .. sent % ${services}
  return wrk.format()
end
`;
}

function count(services: number): string {
  return services === 1 ? "1 service" : `${services} services`;
}

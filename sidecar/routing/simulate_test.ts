import assert from "node:assert/strict";
import fc from "fast-check";
import { assign, settled } from "./assign.ts";
import { diff } from "./diff.ts";
import { ROUTES_FILE } from "../config/names.ts";
import { TIMEOUTS } from "../config/print_base.ts";
import { EMPTY_PLAN, type HaproxyPlan, type Wanted } from "./plan.ts";
import { print } from "../config/print.ts";
import { simulate } from "./simulate.ts";
import { leavingServers } from "../leaving.ts";
import { CommandSocket } from "../haproxy/command_socket.ts";
import { someWanted } from "../testing/arbitrary.ts";
import { instance, service, wantedOf } from "../testing/maps.ts";
import { startRig } from "../testing/rig.ts";
import { phrase, Word } from "../config/text.ts";

/** Knows every pool and header that chance may ask for, so that it asks for commands and not for reloads. */
const FIRST = wantedOf(...["identity", "teams", "orders"].map((name) =>
  service(name, {
    instances: [1, 2, 3].map((version) => instance(`i${version}`, { version })),
    aliases: {
      a: { split: { 1: 5000, 2: 5000 }, stickyHeader: "x-user" },
      b: { split: { 1: 1, 2: 9999 }, stickyHeader: "x-team" },
    },
  })
));

Deno.test("simulate() agrees with a real HAProxy, command by command", async () => {
  await using rig = await startRig();
  const settings = { realm: "local", egress: { host: "127.0.0.1", port: rig.port }, timeouts: TIMEOUTS };
  await rig.map.change("nobody");
  let running = assign(FIRST, EMPTY_PLAN, { spares: 40 });
  await rig.haproxy.reload((generation) => print(running, settings, { generation }));
  const seed = crypto.getRandomValues(new Int32Array(1))[0] ?? 0;
  let told = 0;
  let generation = 2;
  for (const wanted of fc.sample(someWanted, { numRuns: 400, seed })) {
    if (told > ENOUGH) break;
    const next = assign(withoutPorts(wanted), running, { spares: 40 });
    if (diff(running, next).kind === "reload") {
      running = settled(next);
      await rig.haproxy.reload((generation) => print(running, settings, { generation }));
      generation++;
      continue;
    }
    const transition = diff(running, next);
    for (const command of transition.kind === "runtime" ? transition.commands : []) {
      await rig.haproxy.update((generation) => print(next, settings, { generation }), [command]);
      running = simulate(running, [command]);
      assert.deepEqual(
        await observed(rig.data.workerSocket(generation)),
        expected(running),
        `seed ${seed}: ${command.kind}`,
      );
      told++;
    }
    // What is leaving goes at once here: this HAProxy has no requests.
    await rig.haproxy.deleteServers(leavingServers(next));
    running = settled(next);
    assert.deepEqual(await observed(rig.data.workerSocket(generation)), expected(running), `seed ${seed}: deleted`);
  }
  assert.ok(told > ENOUGH, `only ${told} commands were told with seed ${seed}`);
});

const ENOUGH = 100;

/** A port that chance chooses may be somebody else's. */
function withoutPorts(wanted: Wanted): Wanted {
  return new Map([...wanted].map(([name, { localPort: _, ...service }]) => [name, service]));
}

type Observed = { readonly servers: readonly string[]; readonly routes: readonly string[] };

async function observed(socketPath: string): Promise<Observed> {
  using socket = await CommandSocket.open(socketPath);
  const states = (await socket.ask(phrase`show servers state`)).split("\n").slice(2).map((row) => row.split(" "));
  // Columns of the format's version 1. Bit 4 of an admin state only remembers that the file said `disabled`.
  const ready = (state: string | undefined) => (Number(state) & ~4) === 0;
  const servers = states.filter(([, backend]) => backend?.startsWith("b")).map((row) =>
    [row[1], row[3], row[4], row[18], row[7], ready(row[6]) ? "ready" : "maintenance"].join(" ")
  );
  const routes = (await socket.ask(phrase`show map ${Word.fileName(ROUTES_FILE)}`)).split("\n")
    .map((row) => row.slice(row.indexOf(" ") + 1)).filter(Boolean);
  return { servers: servers.sort(), routes: routes.sort() };
}

function expected({ backends, routes }: HaproxyPlan): Observed {
  const servers = [...backends.values()].flatMap(({ slot, servers }) =>
    [...servers.values()].map(({ name, host, port, weight, state }) =>
      [slot, name, host, port, weight, state === "ready" ? "ready" : "maintenance"].join(" ")
    )
  );
  return { servers: servers.sort(), routes: [...routes].map((row) => row.join(" ")).sort() };
}

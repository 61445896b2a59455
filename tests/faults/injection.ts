import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { type Service, ServiceSchema } from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { parse } from "../../sidecar/config/parse.ts";
import { print } from "../../sidecar/config/print.ts";
import { TIMEOUTS } from "../../sidecar/config/print_base.ts";
import { commandText, deleteText } from "../../sidecar/haproxy/command_text.ts";
import { assign } from "../../sidecar/routing/assign.ts";
import { diff } from "../../sidecar/routing/diff.ts";
import { EMPTY_PLAN, type HaproxyPlan } from "../../sidecar/routing/plan.ts";
import { render } from "../../sidecar/routing/render.ts";
import { foreignBackendLine, foreignListenerLine, foreignRow, isCommand } from "../../sidecar/testing/printed.ts";
import { anyName } from "../scenario/fuzz.ts";
import { defineFault } from "./fault.ts";
import type { Figure } from "./figures.ts";
import type { Chance } from "./seed.ts";

interface Sizes {
  /** Services of some ten texts and twenty numbers each. */
  readonly services: number;
}

export const injection = defineFault<Sizes>({
  name: "injection",
  fault: "names, hosts, addresses, headers and numbers in the map, and what a resolver answers, are made up to do harm",
  promise: "no foreign line in HAProxy's files, no second command on its socket; what was written reads back the same",
  small: { services: 60_000 },
  full: { services: 1_000_000 },
  run,
});

const EGRESS = { realm: "local", egress: { host: "127.0.0.1", port: 7410 }, timeouts: TIMEOUTS };

const EVIL = [
  "i1\n  server evil 1.2.3.4:1",
  "i1 weight 9",
  "i1;disable frontend egress",
  "i1\r\ndel server b001/i1",
  "a'b",
  "a\0b",
  "v1.x",
  "x/1",
  "<<",
  "@1",
  "b001",
  "no_instances",
  "%[src]",
  "${HOME}",
  "# spare",
  "127.0.0.1:1 disabled",
  "::1]:1 weight 1",
  "x } { always_true",
];
const GOOD = ["identity", "i1", "live", "x-user", "127.0.0.1", "::1", "a.internal", "canary", "teams", "i2"];

function text(chance: Chance): string {
  const kind = chance.below(4);
  if (kind === 0) return chance.pick(EVIL);
  return kind === 1 ? anyName(chance) : chance.pick(GOOD);
}

function number(chance: Chance): number {
  return chance.oneIn(3)
    ? chance.pick([0, 1, 80, 256, 257, 5_000, 10_000, 65_535, 65_536, 1_000_001, 2 ** 32 - 1])
    : 1 + chance.below(250);
}

function list<T>(chance: Chance, most: number, make: () => T): T[] {
  return Array.from({ length: chance.below(most + 1) }, make);
}

function service(chance: Chance): Service {
  return create(ServiceSchema, {
    name: text(chance),
    enabled: !chance.oneIn(8),
    instances: list(chance, 3, () => ({
      id: text(chance),
      host: text(chance),
      port: number(chance),
      version: number(chance),
      weight: number(chance),
      enabled: !chance.oneIn(4),
      draining: chance.oneIn(4),
      zone: text(chance),
      hostId: text(chance),
      metadata: { [text(chance)]: text(chance) },
    })),
    aliases: list(chance, 2, () => ({
      name: text(chance),
      route: chance.oneIn(2) ? { version: number(chance) } : {
        split: [{ version: 1, share: 5_000 }, { version: number(chance), share: chance.pick([5_000, number(chance)]) }],
        stickyHeader: text(chance),
      },
    })),
    ...(chance.oneIn(2) && {
      spec: {
        protocol: chance.below(6),
        balancer: chance.below(5),
        policy: { timeoutMs: number(chance) },
        limits: { maxConnections: number(chance), maxQueue: number(chance) },
        ...(chance.oneIn(2) && { localPort: number(chance) }),
      },
    }),
  });
}

function run({ services }: Sizes, chance: Chance): Promise<readonly Figure[]> {
  let rendered = 0;
  let commands = 0;
  for (let at = 0; at < services; at++) {
    const one = service(chance);
    const address = text(chance);
    const known = { addressOf: (host: string) => /^[0-9.:]+$/.test(host) ? host : address, isEjected: () => false };
    const result = render(one.name, one, known);
    if (result.kind === "refused") continue;
    rendered++;
    const plan = assign(new Map([[one.name, result.service]]), EMPTY_PLAN, { spares: 1, reloading: "refill" });
    holdFiles(plan);
    commands += holdCommands(plan);
  }
  assert.ok(rendered > services / 100, `only ${rendered} were services at all`);
  return Promise.resolve([
    { name: "services made up", value: services },
    { name: "texts and numbers in them, about", value: services * 30 },
    { name: "taken, all others refused", value: rendered },
    { name: "commands", value: commands },
    { name: "foreign lines and commands", value: 0, most: 0 },
  ]);
}

function holdFiles(plan: HaproxyPlan): void {
  const { config, routes } = print(plan, EGRESS, { generation: 1 });
  assert.equal(foreignBackendLine(config.text), undefined);
  assert.equal(foreignListenerLine(config.text.replace("  bind 127.0.0.1:7410\n", "")), undefined);
  assert.equal(foreignRow(routes.text), undefined);
  assert.deepEqual(parse(config.text, routes.text)?.plan, plan);
}

/** From nothing to the plan, and back. Answers how many commands that takes. */
function holdCommands(plan: HaproxyPlan): number {
  const backends = new Map([...plan.backends].map(([slot, backend]) => [slot, { ...backend, servers: new Map() }]));
  const transition = diff({ ...plan, backends }, plan);
  const added = transition.kind === "runtime" ? transition.commands.filter((command) => "slot" in command) : [];
  const deleted = [...plan.backends.values()].flatMap(({ slot, servers }) =>
    Array.from(servers.keys(), (name) => deleteText({ slot, name }))
  );
  const texts = [...added.map(commandText), ...deleted];
  for (const { text } of texts) assert.ok(isCommand(text), `a command of another kind: ${JSON.stringify(text)}`);
  return texts.length;
}

import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import {
  type Service,
  ServiceSchema,
  type ServiceSpec_Balancer,
  type ServiceSpec_Protocol,
} from "../../proto/gen/portolan/v1/cluster_map_pb.ts";
import { get } from "../../sidecar/testing/caller.ts";
import { instance, service } from "../../sidecar/testing/maps.ts";
import { startBackend, startRig } from "../../sidecar/testing/rig.ts";
import { defineFault } from "./fault.ts";
import type { Figure } from "./figures.ts";
import { type Chance, someOf } from "./seed.ts";

interface Sizes {
  readonly rounds: number;
}

/** Control planes refuse these at the write; this is a stream from one that does not. */
export const unrenderable = defineFault<Sizes>({
  name: "F14",
  fault: "the map has services that cannot be routed as they are",
  promise:
    "each keeps its last good form and is reported with the reason; all others follow the map; no line of it reaches HAProxy",
  small: { rounds: 20 },
  full: { rounds: 1_000 },
  run,
});

type Bad = (good: Service) => Service;

const changed = (init: MessageInitShape<typeof ServiceSchema>): Bad => ({ $typeName: _, ...good }) =>
  create(ServiceSchema, { ...good, ...init });
const withInstance = (init: object): Bad => (good) => ({
  ...good,
  instances: good.instances.map((one, at) => at === 0 ? { ...one, ...init } : one),
});
const withAlias = (name: string, route: object): Bad => changed({ aliases: [{ name, route }] });

const CORPUS: Readonly<Record<string, Bad>> = {
  "a line in an id": withInstance({ id: "i1\n  server evil 127.0.0.1:1" }),
  "a command in an id": withInstance({ id: "i1;disable frontend egress" }),
  "an upper case id": withInstance({ id: "I1" }),
  "an id of 64": withInstance({ id: "a".repeat(64) }),
  "a space in a host": withInstance({ host: "127.0.0.1 weight 256" }),
  "an empty host": withInstance({ host: "" }),
  "the unspecified host": withInstance({ host: "0.0.0.0" }),
  "port 0": withInstance({ port: 0 }),
  "port 65536": withInstance({ port: 65_536 }),
  "version 0": withInstance({ version: 0 }),
  "weight 257": withInstance({ weight: 257 }),
  "an id twice": (good) => ({ ...good, instances: [...good.instances, ...good.instances] }),
  "another service's name": changed({ name: "other" }),
  "an alias like a version": withAlias("v1", { version: 1 }),
  "an alias of two lines": withAlias("a\nb", { version: 1 }),
  "an alias that leads nowhere": withAlias("live", {}),
  "a split of one": withAlias("live", { split: [{ version: 1, share: 10_000 }] }),
  "a split that does not add up": withAlias("live", { split: [{ version: 1, share: 1 }, { version: 2, share: 1 }] }),
  "a version and a split": withAlias("live", {
    version: 1,
    split: [{ version: 1, share: 5_000 }, { version: 2, share: 5_000 }],
  }),
  "a sticky header of two words": withAlias("live", {
    split: [{ version: 1, share: 5_000 }, { version: 2, share: 5_000 }],
    stickyHeader: "x } { always_true",
  }),
  "a sticky header that decides where requests go": withAlias("live", {
    split: [{ version: 1, share: 5_000 }, { version: 2, share: 5_000 }],
    stickyHeader: "portolan-service",
  }),
  "a protocol of tomorrow": changed({ spec: { protocol: 99 as ServiceSpec_Protocol } }),
  "a balancer of tomorrow": changed({ spec: { balancer: 99 as ServiceSpec_Balancer } }),
  "limits beyond all": changed({ spec: { limits: { maxConnections: 4_294_967_295 } } }),
  "what nobody has thought of": (good) => ({ ...good, aliases: [{ name: "live", route: {} }] as never }),
  "port 0 of its own": changed({ spec: { localPort: 0 } }),
};

async function run({ rounds }: Sizes, chance: Chance): Promise<readonly Figure[]> {
  await using before = startBackend("before");
  await using after = startBackend("after");
  await using rig = await startRig({ spares: 128 });
  const good = (name: string, { port }: { port: number }) => service(name, { instances: [instance("i1", { port })] });
  const names = Object.keys(CORPUS).map((_, at) => `s${at}`);
  const bads = Object.values(CORPUS);
  const answer = async (name: string) => (await get(rig.port, "/", `Portolan-Service: ${name}`)).body;
  await rig.map.change(...names.map((name) => good(name, before)));
  let refusals = 0;
  for (let round = 0; round < rounds; round++) {
    const broken = new Set(someOf(chance, names));
    // The others move on in the same change.
    const refused = await rig.map.change(...names.map((name, at) => {
      const next = good(name, after);
      return [name, broken.has(name) ? bads[at]?.(next) ?? next : next] as const;
    }));
    refusals += refused.length;
    assert.deepEqual(new Set(refused.map(({ service }) => service)), broken);
    for (const { service, reason } of refused) assert.match(reason, /^(?:Cannot|the service)/, service);
    for (const name of names) assert.equal(await answer(name), broken.has(name) ? "before" : "after", name);
    const config = await Deno.readTextFile(`${rig.data.path}/haproxy.cfg`);
    assert.ok(!/evil|always_true|disable frontend/.test(config));
    assert.deepEqual(await rig.map.change(...names.map((name) => good(name, before))), []);
  }
  return [
    { name: "kinds of damage", value: names.length },
    { name: "refused with a reason, the last good form kept", value: refusals },
    { name: "reloads", value: rig.reconciler.reloads.count, most: 0 },
  ];
}

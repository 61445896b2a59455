import type { Service } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { command, EXIT, expectArgs } from "./command.ts";
import { readMap } from "./control_plane.ts";
import { countsOf } from "./counts.ts";
import { AT, READ } from "./flags.ts";
import { formatRoute, mapJson, sorted, yesNo } from "./format.ts";
import { table } from "./table.ts";

export const services = command({
  name: "services",
  summary: "Lists the services of a realm",
  about: "UP are the instances that get new calls, of all there are.",
  flags: { ...AT, ...READ },
  example: "./portolan services --realm testing",
  async run({ settings: { realm, output, controlPlane, at }, args }, { out }) {
    expectArgs(args, "no argument: to see one service, ./portolan show SERVICE", 0);
    const map = await readMap(controlPlane, realm, [], { at });
    if (output === "json") out(mapJson(map));
    else if (map.services.size === 0) out(`No services in realm "${realm}" ${at ? "then" : "yet"}\n`);
    else out(table([HEAD, ...sorted(map.services.values()).map(row)]));
    return EXIT.done;
  },
});

const HEAD = ["SERVICE", "ENABLED", "UP", "HELD", "DRAINING", "VERSIONS", "ALIASES"];

function row(service: Service): string[] {
  const { name, enabled, instances, aliases } = service;
  const { up, total, held, draining } = countsOf(service);
  const versions = [...new Set(instances.map(({ version }) => version))].sort((a, b) => a - b);
  return [
    name,
    yesNo(enabled),
    `${up}/${total}`,
    `${held || "-"}`,
    `${draining || "-"}`,
    versions.map((version) => `v${version}`).join(" ") || "-",
    aliases.map(({ name, route }) => `${name}: ${formatRoute(route)}`).join(", ") || "-",
  ];
}

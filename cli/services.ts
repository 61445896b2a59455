import type { Service } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { command, EXIT, expectArgs } from "./command.ts";
import { readMap } from "./control_plane.ts";
import { READ } from "./flags.ts";
import { formatRoute, mapJson, sorted, yesNo } from "./format.ts";
import { table } from "./table.ts";

export const services = command({
  name: "services",
  summary: "Lists the services of a realm",
  flags: READ,
  example: "./portolan services --realm testing",
  async run({ settings: { realm, output, controlPlane }, args }, { out }) {
    expectArgs(args, "no argument: to see one service, ./portolan show SERVICE", 0);
    const map = await readMap(controlPlane, realm, []);
    if (output === "json") out(mapJson(map));
    else if (map.services.size === 0) out(`No services in realm "${realm}" yet\n`);
    else out(table([HEAD, ...sorted(map.services.values()).map(row)]));
    return EXIT.done;
  },
});

const HEAD = ["SERVICE", "ENABLED", "INSTANCES", "VERSIONS", "ALIASES"];

function row({ name, enabled, instances, aliases }: Service): string[] {
  const on = instances.filter((instance) => instance.enabled).length;
  const versions = [...new Set(instances.map(({ version }) => version))].sort((a, b) => a - b);
  return [
    name,
    yesNo(enabled),
    on === instances.length ? `${on}` : `${on} of ${instances.length}`,
    versions.map((version) => `v${version}`).join(" ") || "-",
    aliases.map(({ name, route }) => `${name}: ${formatRoute(route)}`).join(", ") || "-",
  ];
}

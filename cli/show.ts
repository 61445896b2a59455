import type { Instance, Service } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { formatAddress } from "../proto/settings.ts";
import { command, EXIT, expectArgs, Failure } from "./command.ts";
import { readMap } from "./control_plane.ts";
import { READ } from "./flags.ts";
import { formatRoute, formatStatus, serviceJson, yesNo } from "./format.ts";
import { table } from "./table.ts";

export const show = command({
  name: "show",
  summary: "Shows one service: its instances and where its aliases lead",
  args: "SERVICE",
  flags: READ,
  example: "./portolan show identity",
  async run({ settings: { realm, output, controlPlane }, args }, { out }) {
    const [name = ""] = expectArgs(args, "SERVICE", 1);
    const { services } = await readMap(controlPlane, realm, [name]);
    const service = services.get(name);
    if (!service) {
      const why = "it does not exist; ./portolan services lists what there is";
      throw new Failure(EXIT.refused, `Cannot find service "${name}" in realm "${realm}": ${why}`);
    }
    out(output === "json" ? JSON.stringify(serviceJson(service), null, 2) + "\n" : text(service));
    return EXIT.done;
  },
});

function text({ name, enabled, modified, aliases, instances }: Service): string {
  const live = aliases.some((alias) => alias.name === "live") ? [] : [["live", "all enabled instances"]];
  const routes = [...live, ...aliases.map(({ name, route }) => [name, formatRoute(route)])];
  return table([["service", name], ["enabled", yesNo(enabled)], ["revision", `${modified}`]]) +
    "\n" + table([["ALIAS", "LEADS TO"], ...routes]) +
    "\n" + (instances.length > 0 ? table([HEAD, ...instances.map(row)]) : "No instances\n");
}

const HEAD = ["INSTANCE", "ADDRESS", "VERSION", "WEIGHT", "ENABLED", "STATUS", "ZONE", "HOST", "METADATA"];

function row({ id, host, port, version, weight, enabled, status, zone, hostId, metadata }: Instance): string[] {
  const pairs = Object.entries(metadata).map(([key, value]) => `${key}=${value}`).join(" ");
  const address = formatAddress({ host, port });
  const cells = [id, address, `v${version}`, `${weight}`, yesNo(enabled), formatStatus(status), zone, hostId, pairs];
  return cells.map((cell) => cell || "-");
}

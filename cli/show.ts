import type { Instance, Service } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import { formatAddress } from "../proto/settings.ts";
import { command, EXIT, expectArgs, Failure } from "./command.ts";
import { readMap } from "./control_plane.ts";
import { AT, READ } from "./flags.ts";
import { formatDuration, formatRoute, formatStatus, serviceJson, yesNo } from "./format.ts";
import { specWords } from "./spec.ts";
import { table } from "./table.ts";

export const show = command({
  name: "show",
  summary: "Shows one service: what is set for it, where its aliases lead, its instances",
  args: "SERVICE",
  about: "REVISION is where it was last changed: what --if-revision of a write takes.",
  flags: { ...AT, ...READ },
  example: "./portolan show identity",
  async run({ settings: { realm, output, controlPlane, at }, args }, { out }) {
    const [name = ""] = expectArgs(args, "SERVICE", 1);
    const { services } = await readMap(controlPlane, realm, [name], { at });
    const service = services.get(name);
    if (!service) {
      const why = at
        ? "it did not exist then; ./portolan history says since when it does"
        : "it does not exist; ./portolan services lists what there is";
      throw new Failure(EXIT.refused, `Cannot find service "${name}" in realm "${realm}": ${why}`);
    }
    out(output === "json" ? JSON.stringify(serviceJson(service), null, 2) + "\n" : text(service));
    return EXIT.done;
  },
});

function text({ name, enabled, modified, specModified, spec, aliases, instances }: Service): string {
  const live = aliases.some((alias) => alias.name === "live") ? [] : [["live", "all enabled instances", "-"]];
  const routes = [...live, ...aliases.map(({ name, route, modified }) => [name, formatRoute(route), `${modified}`])];
  const own = [
    ["service", name],
    ["enabled", yesNo(enabled)],
    ["revision", `${specModified} (with instances and aliases: ${modified})`],
    ...specWords(spec),
  ];
  return table(own) +
    "\n" + table([["ALIAS", "LEADS TO", "REVISION"], ...routes]) +
    "\n" + (instances.length > 0 ? table([HEAD, ...instances.map(row)]) : "No instances\n");
}

const HEAD = ["INSTANCE", "ADDRESS", "VERSION", "WEIGHT", "ENABLED", "STATUS", "TTL", "ZONE", "HOST", "REVISION"]
  .concat(["METADATA"]);

function row(instance: Instance): string[] {
  const { id, version, weight, enabled, ttl, zone, hostId, modified, metadata } = instance;
  const cells = [
    id,
    formatAddress(instance),
    `v${version}`,
    `${weight}`,
    yesNo(enabled),
    statusWords(instance),
    ttl ? formatDuration(ttl) : "",
    zone,
    hostId,
    `${modified}`,
    Object.entries(metadata).map(([key, value]) => `${key}=${value}`).join(" "),
  ];
  return cells.map((cell) => cell || "-");
}

/** What is observed, and what else decides whether calls go there: `passing, draining`. */
function statusWords({ status, draining, held }: Instance): string {
  return [formatStatus(status), ...(draining ? ["draining"] : []), ...(held ? ["held"] : [])].join(", ");
}

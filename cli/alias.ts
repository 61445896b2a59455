import { versionName } from "./arguments.ts";
import { command, EXIT, expectArgs } from "./command.ts";
import { write } from "./control_plane.ts";
import { WRITE } from "./flags.ts";
import { wrote } from "./wrote.ts";

export const alias = command({
  name: "alias",
  summary: "Lets an alias of a service lead to one version",
  args: "SERVICE ALIAS vN",
  about: "`live` is what callers get who name no alias.",
  flags: WRITE,
  example: "./portolan alias identity live v2",
  async run({ settings: { realm, reason, output, controlPlane }, args }, io) {
    const [service = "", alias = "", to = ""] = expectArgs(args, "SERVICE ALIAS vN", 3);
    const route = { version: versionName(to) };
    const revision = await write(
      controlPlane,
      `set alias "${alias}" of "${service}"`,
      (registry, call) => registry.putAlias({ realm, service, alias, route, options: { reason } }, call),
    );
    wrote(io, output, `${alias}.${service} leads to ${to}`, revision);
    return EXIT.done;
  },
});

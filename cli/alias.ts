import { status } from "@grpc/grpc-js";
import { flag, type Flags } from "../proto/settings.ts";
import { versionName } from "./arguments.ts";
import { command, EXIT, expectArgs } from "./command.ts";
import { write } from "./control_plane.ts";
import { WRITE_ONE, writeOptions } from "./flags.ts";
import { warnOfNobody } from "./no_instance.ts";
import { wrote } from "./wrote.ts";

const FLAGS = { delete: { hint: "", help: "Removes the alias", parse: flag }, ...WRITE_ONE } satisfies Flags;

export const alias = command({
  name: "alias",
  summary: "Lets an alias of a service lead to one version, or removes it",
  args: "SERVICE ALIAS (vN | --delete)",
  about: "`live` is what callers get who name no alias; while it is not set, they get all enabled instances.",
  flags: FLAGS,
  example: "./portolan alias identity live v2",
  async run({ settings, args }, io) {
    const { realm, output, controlPlane } = settings;
    const options = writeOptions(settings);
    if (settings.delete) {
      const [service = "", alias = ""] = expectArgs(args, "SERVICE ALIAS with --delete", 2);
      const what = `delete alias "${alias}" of "${service}"`;
      const { revision } = await write(
        controlPlane,
        what,
        (registry, call) => registry.deleteAlias({ realm, service, alias, options }, call),
        { [status.NOT_FOUND]: `; ./portolan show ${service} lists what there is` },
      );
      wrote(io, output, `${alias}.${service} is removed`, revision);
      return EXIT.done;
    }
    const [service = "", alias = "", to = ""] = expectArgs(args, "SERVICE ALIAS vN", 3);
    const route = { version: versionName(to) };
    const { revision } = await write(
      controlPlane,
      `set alias "${alias}" of "${service}"`,
      (registry, call) => registry.putAlias({ realm, service, alias, route, options }, call),
    );
    wrote(io, output, `${alias}.${service} leads to ${to}`, revision);
    await warnOfNobody(io, "alias", { controlPlane, realm, service, versions: [route.version], revision });
    return EXIT.done;
  },
});

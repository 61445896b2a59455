import { serviceOrInstance } from "./arguments.ts";
import { type Command, command, EXIT, expectArgs } from "./command.ts";
import { write } from "./control_plane.ts";
import { WRITE } from "./flags.ts";
import { wrote } from "./wrote.ts";

export const enable = switching(true);
export const disable = switching(false);

function switching(enabled: boolean): Command {
  const name = enabled ? "enable" : "disable";
  return command({
    name,
    summary: enabled ? "Lets an instance or a service get calls again" : "Takes an instance or a service out of use",
    args: "SERVICE[/ID]",
    about: "It stays on the map either way.",
    flags: WRITE,
    example: `./portolan ${name} identity/127-0-0-1-8080`,
    async run({ settings: { realm, reason, output, controlPlane }, args }, io) {
      const [named = ""] = expectArgs(args, "SERVICE or SERVICE/ID", 1);
      const { service, id } = serviceOrInstance(named);
      const revision = await write(
        controlPlane,
        `${name} "${named}"`,
        (registry, call) => registry.setEnabled({ realm, service, id, enabled, options: { reason } }, call),
      );
      wrote(io, output, `${enabled ? "Enabled" : "Disabled"} ${named}`, revision);
      return EXIT.done;
    },
  });
}

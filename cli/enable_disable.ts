import { TARGET, targetOf } from "./arguments.ts";
import { type Command, command, EXIT } from "./command.ts";
import { write } from "./control_plane.ts";
import { WRITE_ONE, writeOptions } from "./flags.ts";
import { wrote } from "./wrote.ts";

export const enable = switching(true);
export const disable = switching(false);

function switching(enabled: boolean): Command {
  const name = enabled ? "enable" : "disable";
  return command({
    name,
    summary: enabled
      ? "Lets an instance, a service or all of a host get calls again"
      : "Takes an instance, a service or all of a host out of use",
    args: TARGET.args,
    about: enabled ? "What drains, drains no more." : "It stays on the map. To let calls under way end first: drain.",
    flags: { ...TARGET.flags, ...WRITE_ONE },
    example: `./portolan ${name} identity/127-0-0-1-8080`,
    async run({ settings, args }, io) {
      const { realm, output, controlPlane, host } = settings;
      const [target, { named, quoted, hints }] = targetOf(args, host);
      const options = writeOptions(settings);
      const { revision } = await write(
        controlPlane,
        `${name} ${quoted}`,
        (registry, call) => registry.setEnabled({ realm, ...target, enabled, options }, call),
        hints,
      );
      wrote(io, output, `${enabled ? "Enabled" : "Disabled"} ${named}`, revision);
      return EXIT.done;
    },
  });
}

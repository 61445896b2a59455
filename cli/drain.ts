import { TARGET, targetOf } from "./arguments.ts";
import { command, EXIT } from "./command.ts";
import { write } from "./control_plane.ts";
import { WRITE_ONE, writeOptions } from "./flags.ts";
import { wrote } from "./wrote.ts";

export const drain = command({
  name: "drain",
  summary: "Lets an instance, a service or all of a host leave: no new calls, those under way may end",
  args: TARGET.args,
  about: "It stays on the map; enabling or registering it again ends the draining.",
  flags: { ...TARGET.flags, ...WRITE_ONE },
  example: './portolan drain --host rack7-3 --reason "new kernel"',
  async run({ settings, args }, io) {
    const { realm, output, controlPlane, host } = settings;
    const [target, { named, quoted, hints }] = targetOf(args, host);
    const options = writeOptions(settings);
    const { revision } = await write(
      controlPlane,
      `drain ${quoted}`,
      (registry, call) => registry.drain({ realm, ...target, options }, call),
      hints,
    );
    wrote(io, output, `Draining ${named}`, revision);
    return EXIT.done;
  },
});

import { flag, type Flags } from "../proto/settings.ts";
import { instanceName } from "./arguments.ts";
import { command, EXIT, expectArgs } from "./command.ts";
import { write } from "./control_plane.ts";
import { WRITE_ONE, writeOptions } from "./flags.ts";
import { count } from "./format.ts";
import { wrote } from "./wrote.ts";

const FLAGS = {
  held: { hint: "", help: "Lets go all instances of the realm that are held", parse: flag },
  ...WRITE_ONE,
} satisfies Flags;

export const deregister = command({
  name: "deregister",
  summary: "Takes an instance off the map, or all that are held",
  args: "(SERVICE/ID | --held)",
  about:
    "Instances whose leases run out together with many others are held: kept until somebody says that they are gone.",
  flags: FLAGS,
  example: './portolan deregister identity/127-0-0-1-8080 --reason "the host is gone"',
  async run({ settings, args }, io) {
    const { realm, output, controlPlane, held } = settings;
    const options = writeOptions(settings);
    if (held) {
      expectArgs(args, "either SERVICE/ID or --held, not both", 0);
      const { revision, released } = await write(
        controlPlane,
        "let go what is held",
        (registry, call) => registry.releaseHeld({ realm, options }, call),
      );
      wrote(io, output, `Let go ${count(released, "held instance")}`, revision, { released });
      return EXIT.done;
    }
    const [name = ""] = expectArgs(args, "SERVICE/ID", 1);
    const { service, id } = instanceName(name);
    const { revision } = await write(
      controlPlane,
      `deregister "${name}"`,
      (registry, call) => registry.deregister({ realm, service, id, options }, call),
    );
    wrote(io, output, `Deregistered ${name}`, revision);
    return EXIT.done;
  },
});

import { instanceName } from "./arguments.ts";
import { command, EXIT, expectArgs } from "./command.ts";
import { write } from "./control_plane.ts";
import { WRITE } from "./flags.ts";
import { wrote } from "./wrote.ts";

export const deregister = command({
  name: "deregister",
  summary: "Takes an instance off the map",
  args: "SERVICE/ID",
  flags: WRITE,
  example: './portolan deregister identity/127-0-0-1-8080 --reason "the host is gone"',
  async run({ settings: { realm, reason, output, controlPlane }, args }, io) {
    const [name = ""] = expectArgs(args, "SERVICE/ID", 1);
    const { service, id } = instanceName(name);
    const revision = await write(
      controlPlane,
      `deregister "${name}"`,
      (registry, call) => registry.deregister({ realm, service, id, options: { reason } }, call),
    );
    wrote(io, output, `Deregistered ${name}`, revision);
    return EXIT.done;
  },
});

import { status } from "@grpc/grpc-js";
import { flag, type Flags } from "../proto/settings.ts";
import { command, EXIT, expectArgs } from "./command.ts";
import { write } from "./control_plane.ts";
import { WRITE_ONE, writeOptions } from "./flags.ts";
import { wrote } from "./wrote.ts";

const FLAGS = {
  force: { hint: "", help: "Also while it has instances", parse: flag },
  ...WRITE_ONE,
} satisfies Flags;

export const remove = command({
  name: "remove",
  summary: "Removes a service with its aliases and what is set for it",
  args: "SERVICE",
  about: "A service with instances is removed only by force. Nothing else removes one, not even its last instance.",
  flags: FLAGS,
  example: './portolan remove identity --reason "replaced by accounts"',
  async run({ settings, args }, io) {
    const { realm, output, controlPlane, force, ifRevision } = settings;
    const [service = ""] = expectArgs(args, "SERVICE", 1);
    const options = writeOptions(settings);
    const { revision } = await write(
      controlPlane,
      `remove "${service}"`,
      (registry, call) => registry.deleteService({ realm, service, force, options }, call),
      force || ifRevision !== undefined ? {} : { [status.FAILED_PRECONDITION]: " (--force)" },
    );
    wrote(io, output, `Removed ${service}`, revision);
    return EXIT.done;
  },
});

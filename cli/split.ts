import type { Flags } from "../proto/settings.ts";
import { versionShare } from "./arguments.ts";
import { command, EXIT, expectArgs, Failure } from "./command.ts";
import { write } from "./control_plane.ts";
import { words, WRITE_ONE, writeOptions } from "./flags.ts";
import { warnOfNobody } from "./no_instance.ts";
import { wrote } from "./wrote.ts";

const FLAGS = {
  stickyHeader: { hint: "H", help: "Request header whose value keeps a caller on one version", parse: words },
  ...WRITE_ONE,
} satisfies Flags;

export const split = command({
  name: "split",
  summary: "Splits an alias of a service between versions",
  args: "SERVICE [ALIAS] vN=SHARE vM=SHARE…",
  about:
    "Shares are in basis points and add up to 10000. Without an alias it is `live`, what callers get who name none.",
  flags: FLAGS,
  example: "./portolan split identity v1=9000 v2=1000 --sticky-header x-user",
  async run({ settings, args }, io) {
    const { realm, output, controlPlane, stickyHeader } = settings;
    const names = args.filter((arg) => !arg.includes("="));
    const shares = args.filter((arg) => arg.includes("="));
    const [service = "", alias = "live"] = expectArgs(names, "SERVICE [ALIAS] and shares as in v41=9000", 1, 2);
    if (shares.length < 2) throw new Failure(EXIT.usage, "expected two shares or more, as in v41=9000 v42=1000");
    const route = { split: shares.map(versionShare), stickyHeader };
    const options = writeOptions(settings);
    const { revision } = await write(
      controlPlane,
      `split "${alias}" of "${service}"`,
      (registry, call) => registry.putAlias({ realm, service, alias, route, options }, call),
    );
    wrote(io, output, `${alias}.${service} leads to ${shares.join(" ")}`, revision);
    const versions = route.split.map(({ version }) => version);
    await warnOfNobody(io, "split", { controlPlane, realm, service, versions, revision });
    return EXIT.done;
  },
});

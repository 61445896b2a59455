import { command, EXIT, expectArgs } from "./command.ts";
import { LONG_CALL, readMap } from "./control_plane.ts";
import { READ } from "./flags.ts";
import { count, positionJson, sorted } from "./format.ts";
import { mapText } from "./map_file.ts";
import { progress } from "./progress.ts";
import { writeWhole } from "./written_file.ts";

export const exportMap = command({
  name: "export",
  summary: "Writes a realm to a file that import takes",
  args: "(FILE | -)",
  about: "The file is JSON, a service a line; - is standard output. It is written whole or not at all.",
  flags: READ,
  example: "./portolan export local.json",
  async run({ settings: { realm, output, controlPlane }, args }, io) {
    const { out } = io;
    const [file = ""] = expectArgs(args, "FILE, or - for standard output", 1);
    using shown = progress(io, "export");
    const heard = (services: number) => shown.now(`${services} services read`);
    const { position, services } = await readMap(controlPlane, realm, [], { call: LONG_CALL, heard });
    shown[Symbol.dispose]();
    const pieces = mapText({ realm, position, services: sorted(services.values()) });
    if (file === "-") {
      for (const piece of pieces) out(piece);
      return EXIT.done;
    }
    const bytes = await writeWhole(file, encoded(pieces));
    if (output === "json") {
      const done = { file, realm, position: positionJson(position), services: services.size, bytes };
      out(JSON.stringify(done) + "\n");
    } else out(`Exported ${count(services.size, "service")} of realm "${realm}" to ${file}\n`);
    return EXIT.done;
  },
});

function* encoded(pieces: Iterable<string>): Iterable<Uint8Array> {
  const utf8 = new TextEncoder();
  for (const piece of pieces) yield utf8.encode(piece);
}

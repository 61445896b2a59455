import { status } from "@grpc/grpc-js";
import { FleetService } from "../proto/gen/portolan/v1/fleet_pb.ts";
import { command, EXIT, expectArgs, Failure } from "./command.ts";
import { ask, CALL, readFollowers } from "./control_plane.ts";
import { WRITE, writeOptions } from "./flags.ts";
import { followersJson, followersTable } from "./follower_words.ts";
import { wrote } from "./wrote.ts";

export const followers = command({
  name: "followers",
  summary: "Lists who follows the map and how far they are, or forgets a sidecar that will not come back",
  args: "[forget ID]",
  about:
    `LAG is how many revisions a follower is behind; REFUSED are the services that it cannot use as the map has them.
A sidecar that was stopped for good without a word counts until it is forgotten: ./portolan wait waits for it.`,
  words: ["forget"],
  flags: WRITE,
  example: './portolan followers forget rack7-3 --reason "the host is gone"',
  async run({ settings, args: [word, ...args] }, io) {
    const { realm, output, controlPlane } = settings;
    if (word === undefined) {
      const response = await readFollowers(controlPlane, realm);
      io.out(output === "json" ? JSON.stringify(followersJson(response), null, 2) + "\n" : followersTable(response));
      return EXIT.done;
    }
    if (word !== "forget") {
      throw new Failure(EXIT.usage, `unexpected argument "${word}": expected forget ID, or nothing`);
    }
    const [id = ""] = expectArgs(args, "forget ID", 1);
    const { revision } = await ask(
      FleetService,
      controlPlane,
      `forget "${id}"`,
      (fleet) => fleet.forgetFollower({ realm, id, options: writeOptions(settings) }, CALL),
      { [status.NOT_FOUND]: "; ./portolan followers lists them" },
    );
    wrote(io, output, `Forgot ${id}`, revision);
    return EXIT.done;
  },
});

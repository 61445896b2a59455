import { toJson } from "@bufbuild/protobuf";
import { FleetService, type HistoryResponse, HistoryResponseSchema } from "../proto/gen/portolan/v1/fleet_pb.ts";
import { type Flags, integer } from "../proto/settings.ts";
import { changes } from "./changes.ts";
import { command, EXIT, expectArgs } from "./command.ts";
import { ask, LONG_CALL } from "./control_plane.ts";
import { READ, revision, words } from "./flags.ts";
import { formatTime, WHOLE } from "./format.ts";
import { progress } from "./progress.ts";
import { table } from "./table.ts";

const FLAGS = {
  after: { hint: "N", help: "Only what came after this revision", fallback: "0", parse: revision },
  limit: {
    hint: "N",
    help: "Only so many changes, the newest; 0: all that is remembered",
    fallback: "20",
    parse: integer(0, 0xffff_ffff),
  },
  operationId: { hint: "ID", help: "Only what was done under this id", parse: words },
  ...READ,
} satisfies Flags;

export const history = command({
  name: "history",
  summary: "Says who changed what, when and why, oldest first",
  args: "[SERVICE]",
  about: "With --output json one change a line, with the service before and after it.",
  flags: FLAGS,
  example: "./portolan history identity --limit 5",
  async run({ settings, args }, io) {
    const { out } = io;
    const { realm, after, limit, operationId, output, controlPlane } = settings;
    const [service = ""] = expectArgs(args, "SERVICE or nothing", 0, 1);
    const request = { realm, service, after, limit, operationId };
    const rows: string[][] = [];
    using shown = progress(io, "history");
    let read = 0;
    await ask(FleetService, controlPlane, "read the history", async (fleet) => {
      const answer: AsyncIterable<HistoryResponse> = fleet.history(request, LONG_CALL);
      for await (const change of answer) {
        if (output === "json") out(JSON.stringify(toJson(HistoryResponseSchema, change, WHOLE)) + "\n");
        else {
          rows.push(...rowsOf(change));
          shown.now(`${++read} changes read`);
        }
      }
    });
    shown[Symbol.dispose]();
    if (output === "table") out(rows.length > 0 ? table([HEAD, ...rows]) : "Nothing is remembered\n");
    return EXIT.done;
  },
});

const HEAD = ["REVISION", "TIME", "WHO", "OPERATION", "SERVICE", "REASON", "CHANGE"];

/** A row for the commit, with the first thing that it changed; a row for each further one. */
function rowsOf({ revision, time, identity, operation, reason, before, after }: HistoryResponse): string[][] {
  const service = (after ?? before)?.name ?? "";
  const [first = "", ...more] = changes(service, before, after).map(({ what }) => what);
  const cells = [`${revision}`, formatTime(time), identity, operation, service, reason, first];
  return [cells.map((cell) => cell || "-"), ...more.map((what) => [...cells.map(() => "").slice(1), what])];
}

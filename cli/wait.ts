import { toJson } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Position } from "../proto/gen/portolan/v1/cluster_map_pb.ts";
import {
  FleetService,
  type WaitForRevisionResponse,
  WaitForRevisionResponse_Verdict as Verdict,
  WaitForRevisionResponseSchema,
} from "../proto/gen/portolan/v1/fleet_pb.ts";
import type { Client } from "../proto/grpc.ts";
import type { Flags } from "../proto/settings.ts";
import { sleep } from "../proto/sleep.ts";
import { command, EXIT, expectArgs, Failure } from "./command.ts";
import { ask, CALL } from "./control_plane.ts";
import { duration, READ, revision } from "./flags.ts";
import { laggardWords, unreachableWords } from "./follower_words.ts";
import { count, WHOLE } from "./format.ts";
import { type Progress, progress } from "./progress.ts";
import { table } from "./table.ts";

const FLAGS = {
  revision: { hint: "N", help: "Waits for this one; 0: for the newest", fallback: "0", parse: revision },
  timeout: { hint: "30s", help: "How long", fallback: "30s", parse: duration },
  ...READ,
} satisfies Flags;

export const wait = command({
  name: "wait",
  summary: "Waits until a change is what everybody routes by, or names who does not",
  about:
    `Every write prints its revision. Everybody: every sidecar that is known, and every program that follows the map.
Ends with 0 when they all route by it, with 1 when they do not.`,
  flags: FLAGS,
  example: "./portolan wait --revision 42 --timeout 60s",
  async run({ settings, args }, io) {
    expectArgs(args, "no argument: the revision is --revision N", 0);
    const { realm, output, controlPlane, timeout } = settings;
    const timeoutMs = Number(timeout.seconds) * 1000 + (timeout.nanos ?? 0) / 1_000_000;
    using shown = progress(io, "wait");
    const { response, running } = await ask(FleetService, controlPlane, "wait for the followers", async (fleet) => {
      const response = await arrival(fleet, realm, settings.revision, timeoutMs, shown);
      const told = output === "table" && response.laggards.some(({ applied }) => applied);
      return { response, running: told ? (await fleet.listFollowers({ realm }, CALL)).position : undefined };
    });
    shown[Symbol.dispose]();
    if (output === "json") io.out(JSON.stringify(toJson(WaitForRevisionResponseSchema, response, WHOLE)) + "\n");
    else io.out(tableOf(response, running));
    const { verdict } = response;
    if (verdict === Verdict.DONE) return EXIT.done;
    throw new Failure(EXIT.refused, sentenceOf(response, timeoutMs));
  },
});

/** Asked again and again for this long, so that there is something to say meanwhile. */
const STEP_MS = 1_000;

async function arrival(
  fleet: Client<typeof FleetService>,
  realm: string,
  revision: bigint,
  timeoutMs: number,
  shown: Progress,
): Promise<WaitForRevisionResponse> {
  const ends = performance.now() + timeoutMs;
  // The first answer says which revision was the newest: later ones are not waited for.
  for (let asked = revision;;) {
    const began = performance.now();
    const stepMs = Math.ceil(Math.min(STEP_MS, Math.max(0, ends - began)));
    const request = { realm, revision: asked, timeout: durationFromMs(stepMs) };
    const response = await fleet.waitForRevision(request, { timeoutMs: stepMs + 10_000 });
    asked = response.revision;
    if (response.verdict === Verdict.DONE || performance.now() >= ends) return response;
    shown.now(`waiting for revision ${asked}: ${sayWho(response)}`);
    // It may have answered early that it cannot know.
    await sleep(Math.max(0, began + stepMs - performance.now()), new AbortController().signal);
  }
}

function sayWho({ laggards, unreachable }: WaitForRevisionResponse): string {
  const names = laggards.slice(0, 3).map(({ follower }) => follower?.id).join(", ");
  const more = laggards.length > 3 ? ` and ${laggards.length - 3} more` : "";
  return names ? `${names}${more}` : `cannot ask ${unreachable.join(", ")}`;
}

function tableOf(response: WaitForRevisionResponse, running: Position | undefined): string {
  const { verdict, revision, laggards, unreachable } = response;
  if (verdict === Verdict.DONE) return `Revision ${revision} is everywhere\n`;
  const rows = laggards.map((state) => [state.follower?.id ?? "-", laggardWords(state, revision, running, Date.now())]);
  return (rows.length > 0 ? table([["FOLLOWER", "WHY"], ...rows]) : "") + unreachableWords(unreachable);
}

function sentenceOf({ verdict, revision, laggards, unreachable }: WaitForRevisionResponse, timeoutMs: number): string {
  const after = `after ${timeoutMs / 1000} s`;
  if (verdict === Verdict.UNKNOWN) {
    return `Cannot know whether revision ${revision} is everywhere ${after}: ` +
      `${count(unreachable.length, "control plane")} could not be asked; try again`;
  }
  if (laggards.length === 0) return `Revision ${revision} is not everywhere ${after}: the map has not come to it yet`;
  const away = laggards.filter(({ connected }) => !connected).length;
  const unable = laggards.filter(({ connected, refused }) => connected && refused.length > 0).length;
  const behind = laggards.length - away - unable;
  const kinds = [
    ...(away > 0 ? [`${count(away, "follower")} not connected`] : []),
    ...(behind > 0 ? [`${count(behind, "follower")} behind`] : []),
    ...(unable > 0 ? [`${count(unable, "follower")} unable to use a service as the map has it`] : []),
  ];
  // Who is connected cannot be forgotten.
  const todo = away > 0 ? "; ./portolan followers forget ID drops one that will not come back" : "";
  return `Revision ${revision} is not everywhere ${after}: ${kinds.join(", ")}${todo}`;
}

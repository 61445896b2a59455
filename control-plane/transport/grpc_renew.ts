/** `RegistryService.Renew`: beats of leases on a stream, and what their holders observe. */
import type { ServerDuplexStream } from "@grpc/grpc-js";
import { anonymous } from "../app/caller.ts";
import type { Epoch } from "../domain/names.ts";
import { invalid, isRefusal, type Refusal, refuse } from "../domain/refusal.ts";
import { Undecodable } from "../../proto/grpc.ts";
import type { RenewRequest } from "../../proto/gen/portolan/v1/registry_pb.ts";
import { beatOf } from "./decode_registry.ts";
import { internal } from "./grpc_calls.ts";
import { type Ports, type Standing, STOPPING } from "./ports.ts";
import { type Failure, grpcStatus } from "./status.ts";

type RenewCall = ServerDuplexStream<RenewRequest | Undecodable, object>;

/** Beats of one stream that are not answered yet: the runtime does not hold back a client that does not wait. */
const MOST_WAITING = 1_000;
const TOO_MANY = refuse(
  "too_many",
  `Cannot take more beats: ${MOST_WAITING} of this stream are not answered yet; wait for answers`,
);

/** The same of what is observed: far more than there is on a host. */
const MOST_STATUSES = 10_000;
const TOO_MANY_AT_ONCE = invalid([{ field: "statuses", description: `expected at most ${MOST_STATUSES}` }]);
const TOO_MANY_STATUSES = refuse(
  "too_many",
  `Cannot take more than ${MOST_STATUSES} statuses of one stream that are not answered yet; wait for answers`,
);

/** `streams` holds those that stand. */
export function renewHandler(ports: Ports, streams: Set<Standing>) {
  return (call: RenewCall) => {
    let over = false;
    const end = (say: () => void) => {
      if (over) return;
      over = true;
      streams.delete(stream);
      say();
    };
    const fail = (failure: Failure) => end(() => call.emit("error", grpcStatus(failure)));
    const stream = { stop: () => fail(STOPPING) };
    streams.add(stream);
    // One after the other: an answer says that what came before it is done.
    let last: Promise<void> = Promise.resolve();
    const waiting = { beats: 0, statuses: 0 };
    let refused = false;
    call.on("data", (request: RenewRequest | Undecodable) => {
      // It ends with a beat that is refused: what comes after that is not kept.
      if (over || refused) return;
      const statuses = request instanceof Undecodable ? 0 : request.statuses.length;
      waiting.beats++;
      waiting.statuses += statuses;
      if (waiting.beats > MOST_WAITING) return fail(TOO_MANY);
      if (statuses <= MOST_STATUSES && waiting.statuses > MOST_STATUSES) return fail(TOO_MANY_STATUSES);
      // It counts as it comes, however long what was observed before takes to be written.
      const beat = request instanceof Undecodable ? refuse("invalid", request.description) : beatNow(ports, request);
      refused = isRefusal(beat);
      last = last.then(async () => {
        if (over) return;
        const answer = isRefusal(beat) ? beat : await takeIn(ports, beat);
        waiting.beats--;
        waiting.statuses -= statuses;
        if (isRefusal(answer)) fail(answer);
        else if (!over) call.write(answer);
      }).catch((error) => end(() => call.emit("error", internal(ports.log, error))));
    });
    call.on("end", () => last.then(() => end(() => call.end())));
    call.on("error", () => end(() => {}));
    call.on("cancelled", () => end(() => {}));
    if (call.cancelled) end(() => {});
  };
}

type Answer = { readonly leaseId: string; readonly alive: boolean; readonly epoch: Epoch };
type Beat = Exclude<ReturnType<typeof beatOf>, Refusal> & { readonly alive: boolean };

function beatNow({ leases }: Pick<Ports, "leases">, request: RenewRequest): Beat | Refusal {
  if (request.statuses.length > MOST_STATUSES) return TOO_MANY_AT_ONCE;
  const beat = beatOf(request);
  return isRefusal(beat) ? beat : { ...beat, alive: leases.beat(beat.lease) };
}

/** What is observed is written before it is answered. */
async function takeIn(
  { operations, reading, log }: Pick<Ports, "operations" | "reading" | "log">,
  { lease, reports, alive }: Beat,
): Promise<Answer | Refusal> {
  for (const report of alive ? reports : []) {
    const outcome = await operations.execute(anonymous(undefined, "observed by its holder"), report);
    // A beat counts though its news cannot be kept: the next one brings them again only if the holder hears of it.
    if (isRefusal(outcome) && outcome.code !== "not_found") {
      log.warn("Cannot take in a status", { service: report.service, refusal: outcome.message });
      return outcome;
    }
  }
  return { leaseId: lease, alive, epoch: reading.position().epoch };
}
